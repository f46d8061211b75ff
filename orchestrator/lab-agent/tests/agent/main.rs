//! The real agent over its socket.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test that called it")]

mod client;
mod input;
mod journal;
mod lab;
mod robust;
mod serial;
mod tls;
