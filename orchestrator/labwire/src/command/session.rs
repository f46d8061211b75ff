//! `labwire session ls|show|stop`.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    CourseId, LabId, SessionId, Subject,
    port::{Clock, Session, SessionFilter, Store},
    provisioning::EndReason,
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum SessionCommand {
    /// List sessions, newest first
    #[command(after_help = "Examples:\n  labwire session ls\n  labwire session ls --all --course net")]
    Ls(LsArgs),
    /// One session: its state, history, checks and ledger
    #[command(after_help = "Example:\n  labwire session show 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11")]
    Show { session: SessionId },
    /// Stop a session; the running server takes it down within seconds
    #[command(after_help = "Example:\n  labwire session stop 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11")]
    Stop { session: SessionId },
}

#[derive(Args, Debug)]
pub struct LsArgs {
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    #[arg(long, value_name = "ID")]
    learner: Option<String>,
    #[arg(long, value_name = "ID")]
    lab: Option<String>,
    /// Also those that are over
    #[arg(long)]
    all: bool,
}

pub async fn run(config: &Config, command: SessionCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    match command {
        SessionCommand::Ls(args) => ls(store.as_ref(), args).await?,
        SessionCommand::Show { session } => show(store.as_ref(), session).await?,
        SessionCommand::Stop { session } => {
            let before = get(store.as_ref(), session).await?;
            let now = wire::clock().now();
            let after =
                lab_app::provisioning::request_stop(store.as_ref(), before, EndReason::StaffStopped, "cli", now)
                    .await?;
            println!("{session} is {}", after.state.name());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(store: &dyn Store, id: SessionId) -> Result<Session> {
    match store.session_get(id).await? {
        Some(session) => Ok(session),
        None => bail!("session {id} is not there; `labwire session ls --all` lists sessions"),
    }
}

async fn ls(store: &dyn Store, args: LsArgs) -> Result<()> {
    let filter = SessionFilter {
        course: args.course.map(CourseId),
        subject: args.learner.map(Subject),
        lab: args.lab.map(LabId),
        live: !args.all,
        limit: 0,
    };
    let row = |s: &Session| {
        vec![
            s.id.to_string(),
            s.subject.to_string(),
            s.course.to_string(),
            s.lab.to_string(),
            s.state.name().to_owned(),
            s.state.reason().unwrap_or_default().to_owned(),
            s.requested_at.to_string(),
        ]
    };
    let rows: Vec<_> = store.session_list(&filter).await?.iter().map(row).collect();
    table::print(
        &["SESSION", "LEARNER", "COURSE", "LAB", "STATE", "REASON", "REQUESTED"],
        &rows,
    );
    Ok(())
}

async fn show(store: &dyn Store, id: SessionId) -> Result<()> {
    let session = get(store, id).await?;
    println!("{}", serde_yaml::to_string(&session)?.trim_end());
    println!("history:");
    for row in store.session_history(id).await? {
        let reason = row.state.reason().map(|r| format!(" ({r})")).unwrap_or_default();
        println!("  {}  {}{reason}, by {}", row.at, row.state.name(), row.cause);
    }
    println!("checks:");
    for outcome in store.check_list(id).await? {
        println!(
            "  {}: {} ({} points)",
            outcome.check,
            if outcome.passed { "passed" } else { "not passed" },
            outcome.points
        );
    }
    println!("ledger:");
    for t in store.ledger_of(id).await? {
        let entries: Vec<String> = t
            .entries
            .iter()
            .map(|(account, secs)| format!("{account} {secs:+}"))
            .collect();
        println!("  {}  {}: {}", t.occurred_at, t.kind.name(), entries.join(", "));
    }
    Ok(())
}
