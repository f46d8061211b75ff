//! One file a command.

pub mod controller;
pub mod course;
pub mod doctor;
pub mod drain;
pub mod grant;
pub mod health;
mod images;
mod known;
pub mod lab;
mod learners;
pub mod link;
pub mod login;
pub mod lti;
pub mod migrate;
pub mod order;
mod out;
pub mod person;
pub mod plan;
pub mod reconcile;
pub mod recording;
pub mod refund;
pub mod retention;
pub mod sandbox;
pub mod serve;
pub mod session;
mod sheet;
pub mod site;
pub mod sponsor;
pub mod statement;
pub mod trial;
pub mod usage;
pub mod voucher;

use crate::config::Config;
use anyhow::Result;
use std::process::ExitCode;

/// `labwire check-config`: reading it has found every problem already.
#[expect(clippy::unnecessary_wraps, reason = "every command has this signature")]
pub fn check_config(config: &Config) -> Result<ExitCode> {
    print!("{}", config.redacted());
    Ok(ExitCode::SUCCESS)
}
