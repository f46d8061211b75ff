//! Makes sure that the folder of web pages exists, so that the server builds before the pages do.

use std::{fs, path::Path};

const PLAIN: &str = "<!doctype html><meta charset=\"utf-8\"><title>Labwire</title>\
    <p>The web pages are not built: run <code>make web</code>.</p>\
    <p lang=\"fr\">Les pages web ne sont pas construites : lancez <code>make web</code>.</p>\n";

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web-terminal/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let index = dist.join("index.html");
    if !index.exists() {
        // a page that says what to do is better than an error of rust-embed about a folder
        fs::create_dir_all(&dist).expect("the folder of web pages can be made");
        fs::write(&index, PLAIN).expect("a page can be written into it");
    }
}
