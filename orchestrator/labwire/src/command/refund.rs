//! `labwire refund` and `labwire revoke`: what gives time back, and what takes it back.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    GrantId, SessionId,
    port::{Clock, Refund, Store},
};
use std::process::ExitCode;

/// Give time of a settled session back to whoever paid for it, by a reversing transaction
///
/// Once a session and reason: the same again changes nothing, another amount for the same reason is refused, and so is more than was
/// billed. Time of grants that have ended cannot be used again; `labwire grant --source goodwill` makes good for that.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  labwire refund 0190… --seconds 1200 --reason platform-fault")]
pub struct RefundArgs {
    session: SessionId,
    /// All that was billed and not given back yet, when not given
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    seconds: Option<i64>,
    /// A word or two; stands in the statement
    #[arg(long)]
    reason: String,
}

/// Take back what is left of a grant: nothing more is drawn from it. What a running lab holds of it stays held
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  labwire revoke 0190… --reason charge-back")]
pub struct RevokeArgs {
    grant: GrantId,
    /// A word or two; stands in the ledger
    #[arg(long)]
    reason: String,
}

pub async fn run(config: &Config, args: RefundArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let seconds = if let Some(seconds) = args.seconds {
        seconds
    } else {
        let Some(session) = store.session_get(args.session).await? else {
            bail!(
                "session {} is not there; `labwire session ls --all` lists sessions",
                args.session
            );
        };
        let rows = store
            .usage_list(Some(&session.course), Some(&session.subject), None)
            .await?;
        let row = rows.iter().find(|r| r.session == session.id);
        row.map_or(0, |r| r.billed_seconds - r.refunded_seconds)
    };
    if seconds == 0 {
        bail!(
            "nothing was billed for session {} that was not given back already",
            args.session
        );
    }
    let refund = Refund {
        session: args.session,
        seconds,
        reason: args.reason,
        at: wire::clock().now(),
    };
    let usable = store.refund(&refund).await?;
    println!(
        "{}: {} given back, of which {} can be used again",
        args.session,
        table::time(seconds),
        table::time(usable)
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn revoke(config: &Config, args: RevokeArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let taken = store.grant_void(args.grant, &args.reason, wire::clock().now()).await?;
    println!(
        "{}: {} taken back; nothing more is drawn from it",
        args.grant,
        table::time(taken)
    );
    Ok(ExitCode::SUCCESS)
}
