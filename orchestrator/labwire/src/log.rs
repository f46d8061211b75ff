//! Logs on standard error: for people, or one JSON object a line.

use crate::config::LogConfig;
use anyhow::{Context, Result, anyhow};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging. Commands for people say what they have to say on standard output and log problems only.
pub fn init(config: &LogConfig, serving: bool) -> Result<()> {
    let filter = if serving { config.filter.as_str() } else { "warn" };
    let filter: EnvFilter = filter.parse().context("log.filter")?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|e| anyhow!("cannot start logging: {e}"))
}
