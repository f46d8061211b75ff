//! `labwire drain on|off|status`: whether new launches are taken, in the whole installation.

use crate::{config::Config, wire};
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use lab_core::{
    operations::{LaunchPause, PAUSE_MINUTES_MAX, PauseChange, PauseNotice},
    port::{Clock, Store},
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum DrainCommand {
    /// Refuse new launches; labs that run, and those that wait in the queue, go on
    #[command(
        after_help = "Examples:\n  labwire drain on --reason 'New disks.' --minutes 30\n  labwire drain on --reason 'It takes longer than planned.' --minutes 60"
    )]
    On(OnArgs),
    /// Take new launches again
    #[command(after_help = "Example:\n  labwire drain off")]
    Off,
    /// Say whether launches are paused, by whom and since when
    #[command(after_help = "Example:\n  labwire drain status")]
    Status,
}

#[derive(Args, Debug)]
pub struct OnArgs {
    /// What learners read while they wait; one line
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When learners are told to come back, minutes from now; the pause itself ends with `labwire drain off`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PAUSE_MINUTES_MAX)))]
    minutes: Option<u32>,
}

pub async fn run(config: &Config, command: DrainCommand) -> Result<ExitCode> {
    let now = wire::clock().now();
    // checked before the database is opened
    let to = match &command {
        DrainCommand::On(args) => {
            let notice = PauseNotice::new(&args.reason, args.minutes, now).map_err(|wrong| anyhow!("--{wrong}"))?;
            Some(Some(notice))
        }
        DrainCommand::Off => Some(None),
        DrainCommand::Status => None,
    };
    let store = wire::store(config).await?;
    let paused = match to {
        Some(to) => {
            let change = PauseChange {
                to,
                by: "cli".into(),
                by_name: "labwire drain".into(),
                at: now,
            };
            store.launches_pause(&change).await?
        }
        None => store.launches_paused().await?,
    };
    println!("{}", said(paused.as_ref()));
    Ok(ExitCode::SUCCESS)
}

fn said(paused: Option<&LaunchPause>) -> String {
    let Some(pause) = paused else {
        return "new launches are taken".to_owned();
    };
    let back = pause.until.map_or_else(
        || "no time to come back is announced".to_owned(),
        |at| format!("learners are told to come back at {at}"),
    );
    format!(
        "new launches are paused since {} by {}: {}\n{back}; labs that run go on; `labwire drain off` takes launches again",
        pause.since, pause.by_name, pause.reason
    )
}
