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

fn main() -> ExitCode {
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
