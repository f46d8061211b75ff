//! The `labwire` command: `serve`, and the command line for people. Wiring only: every rule is in a library below.
//!
//! `cli` names the commands, `command/<name>` is one each, `config` reads the settings, `wire` makes ports of them.

mod adapters;
mod cli;
mod command;
mod config;
mod log;
mod table;
mod wire;

use clap::Parser;
use std::process::ExitCode;

/// What a shell says of a program that a closed pipe ended: 128 and SIGPIPE's number.
const CLOSED_PIPE: i32 = 128 + 13;

fn main() -> ExitCode {
    end_with_the_reader();
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("labwire: cannot start its threads: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => {
            // the whole chain, once, here
            eprintln!("labwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `labwire lab schema | head -1`: who reads has seen enough. Rust's `print!` panics then, as programs of Rust ignore SIGPIPE;
/// setting it back would end `serve` too, by any pipe or socket that another program closes.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        usual(panic);
    }));
}
