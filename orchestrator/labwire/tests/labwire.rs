//! The real binary from outside, and the shape of the workspace.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails, as it should")]

#[path = "labwire/architecture.rs"]
mod architecture;
#[path = "labwire/cli.rs"]
mod cli;
#[path = "labwire/courses.rs"]
mod courses;
#[path = "labwire/labs.rs"]
mod labs;
#[path = "labwire/login.rs"]
mod login;
#[path = "labwire/lti.rs"]
mod lti;
#[path = "labwire/scripts.rs"]
mod scripts;
