//! `labwire sponsor attest`.

use super::learners::Learners;
use crate::{config::Config, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    SponsorId, Subject, Timestamp,
    port::{Clock, MoneyStore},
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum SponsorCommand {
    Attest(AttestArgs),
}

/// Say again whom a sponsor pays for: their grants go on until then. Who is not named keeps what they have until it ends; a lab that runs
/// then is finished with what it holds.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, each month:\n  labwire sponsor attest --sponsor anapec --learners seeking.csv --until 2027-01-01T00:00:00+01:00"
)]
pub struct AttestArgs {
    #[arg(long, value_name = "ID")]
    sponsor: String,
    #[command(flatten)]
    learners: Learners,
    /// A time with its offset
    #[arg(long, value_name = "TIME")]
    until: Timestamp,
}

pub async fn run(config: &Config, command: SponsorCommand) -> Result<ExitCode> {
    let SponsorCommand::Attest(args) = command;
    let now = wire::clock().now();
    if args.until <= now {
        bail!("--until {} is over; what has ended stays ended", args.until);
    }
    let store = wire::store(config).await?;
    let learners: Vec<Subject> = args.learners.read()?.into_iter().map(|l| Subject(l.id)).collect();
    let sponsor = SponsorId(args.sponsor);
    let known = store.grants_attest(&sponsor, &learners, args.until, now).await?;
    println!(
        "{sponsor}: the grants of {} of {} learners go on until {}",
        known.len(),
        learners.len(),
        args.until
    );
    for unknown in learners.iter().filter(|l| !known.contains(l)) {
        println!("{unknown} has none that goes on; give one with `labwire grant --sponsor {sponsor} --source sponsor`");
    }
    Ok(ExitCode::SUCCESS)
}
