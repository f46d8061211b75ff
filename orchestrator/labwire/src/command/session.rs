//! `labwire session ls|show|stop`.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    CourseId, LabId, SessionId, Subject, Timestamp,
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
    Show {
        session: SessionId,
        /// For programs: all that is stored, times in microseconds since 1970
        #[arg(long)]
        json: bool,
    },
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
        SessionCommand::Show { session, json: true } => {
            let session = get(store.as_ref(), session).await?;
            println!("{}", serde_json::to_string_pretty(&session)?);
        }
        SessionCommand::Show { session, .. } => show(store.as_ref(), session).await?,
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

/// A session in words: what does not apply is left out.
fn facts(s: &Session, now: Timestamp) -> Vec<(&'static str, String)> {
    let reason = s.state.reason().map(|r| format!(" ({r})")).unwrap_or_default();
    let at = |t: Option<Timestamp>| t.map(table::moment);
    let secs = |us: u64| i64::try_from(us / 1_000_000).unwrap_or(i64::MAX);
    let ran = s.ready_at.map(|ready| s.over_at.unwrap_or(now).since(ready).as_secs());
    let stood = secs(s.frozen_until(s.over_at.unwrap_or(now)));
    let warm = if s.warm { ", was kept warm" } else { "" };
    let all = [
        ("session", Some(s.id.to_string())),
        ("learner", Some(format!("{} ({})", s.subject, s.name))),
        ("course", Some(s.course.to_string())),
        (
            "lab",
            Some(format!(
                "{} (version {})",
                s.lab,
                s.digest.as_str().chars().take(12).collect::<String>()
            )),
        ),
        ("plan", Some(s.plan.to_string())),
        ("sandbox", Some(format!("{}{warm}", s.sandbox))),
        ("state", Some(format!("{}{reason}", s.state.name()))),
        ("requested", Some(table::moment(s.requested_at))),
        ("ready", at(s.ready_at)),
        ("last key", s.ready_at.map(|_| table::moment(s.active_at))),
        ("over", at(s.over_at)),
        ("stops by", at(s.deadline.filter(|_| s.over_at.is_none()))),
        ("ran", ran.map(|r| table::lasting(i64::try_from(r).unwrap_or(i64::MAX)))),
        (
            "stood",
            (stood > 0).then(|| format!("{} without lab time, not billed", table::lasting(stood))),
        ),
        ("held", (s.held_secs > 0).then(|| table::lasting(s.held_secs))),
        ("billed", s.billed_secs.map(table::lasting)),
    ];
    all.into_iter()
        .filter_map(|(what, value)| Some((what, value?)))
        .collect()
}

async fn show(store: &dyn Store, id: SessionId) -> Result<()> {
    let session = get(store, id).await?;
    for (what, value) in facts(&session, wire::clock().now()) {
        println!("{:<10}{value}", format!("{what}:"));
    }
    println!("history:");
    for row in store.session_history(id).await? {
        let reason = row.state.reason().map(|r| format!(" ({r})")).unwrap_or_default();
        println!(
            "  {}  {}{reason}, by {}",
            table::moment(row.at),
            row.state.name(),
            row.cause
        );
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
        println!(
            "  {}  {}: {}",
            table::moment(t.occurred_at),
            t.kind.name(),
            entries.join(", ")
        );
    }
    Ok(())
}
