//! `lab-agent`: the one program of Labwire inside a sandbox.
//!
//! ```text
//!            ┌────────────────────────── lab-agent run ───────────────────────────┐
//!  start ────┤ lab/       brings the lab up, reaps, runs checks                   │
//!  terminals ┤ terminal/  one PTY each: intake and pump (output), keys (input)    │
//!            │    │ bytes                                                         │
//!            │ journal/   append-only records: memory for followers, disk behind  │
//!            │    │ bytes                                   screen/ (own thread)  │
//!            │ wire/      WebSocket over agent.sock: follow, input, snapshot      │
//!            └────────────────────────────────────────────────────────────────────┘
//!  runtime ── lab-agent connect ── agent.sock ── tls ── runtime, over a network
//! ```
//!
//! One thread does everything that must be quick, and owns all there is to know. Each terminal's output is read by a thread of its own
//! ([`terminal`]), and one emulates screens, which costs more than all the rest.

mod agent;
mod args;
mod clock;
mod connect;
mod journal;
mod lab;
mod log;
mod screen;
mod sys;
mod terminal;
mod tls;
mod wire;

use args::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    // what runs in the lab may be of our user: it may not trace us, nor open what our descriptors lead to
    if let Err(errno) = nix::sys::prctl::set_dumpable(false) {
        log::line("warn", "dumpable", &errno);
    }
    match args::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => agent::run(&options),
        Ok(Command::Connect { dir }) => connect::run(&dir),
        Ok(Command::Version) => {
            println!(
                "lab-agent {} protocol {}",
                env!("CARGO_PKG_VERSION"),
                lab_core::agent::PROTOCOL_VERSION
            );
            ExitCode::SUCCESS
        }
        Err(refused) => {
            eprintln!("lab-agent: {refused}\n{}", args::USAGE);
            ExitCode::from(2)
        }
    }
}
