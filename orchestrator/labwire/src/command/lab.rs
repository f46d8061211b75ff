//! `labwire lab check|ls|publish|try|withdraw|schema`.

use super::images;
use crate::{config::Config, table, wire};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use lab_app::entitlement::TEST_RUN_ACTION;
use lab_core::{
    CourseId, LabId,
    lab::{LabRefused, LabVersion, Span},
    launch::{LaunchClaims, Role},
    limits::LAB_FILE_BYTES_MAX,
    nearest,
    port::{AuditEvent, Clock, SessionFilter, Store},
};
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

#[derive(Subcommand, Debug)]
pub enum LabCommand {
    /// Name every mistake in lab files, with its line; fails when there is one
    #[command(
        after_help = "Example:\n  labwire lab check labs/*/lab.yaml\n  labwire lab check --images labs/*/lab.yaml"
    )]
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Ask the runtime of the settings for their images too; fails where one is missing
        #[arg(long)]
        images: bool,
    },
    /// List published labs
    #[command(after_help = "Example:\n  labwire lab ls")]
    Ls,
    /// Make lab files available; running sessions keep their version
    #[command(after_help = "Example:\n  labwire lab publish labs/ospf-triangle/lab.yaml")]
    Publish {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print a link to a test run: the lab as its learners would have it, which no plan pays for and no grade comes of
    #[command(
        name = "try",
        after_help = "Example:\n  labwire lab try ospf-triangle --as curie\n\n\
                      A person has one test run at a time, of 2 hours at most, and 8 hours within a day. `labwire usage` tells them, unbilled."
    )]
    Try(TryArgs),
    /// Take a lab out of what can be launched; running sessions keep it
    #[command(
        after_help = "Example:\n  labwire lab withdraw ospf-triangle\n  labwire lab withdraw ospf-triangle --undo"
    )]
    Withdraw {
        lab: String,
        /// Publish it again, in the version that was published last
        #[arg(long)]
        undo: bool,
    },
    /// Print the JSON Schema of lab files, for editors
    #[command(after_help = "Example:\n  labwire lab schema > lab.schema.json")]
    Schema,
}

#[derive(Args, Debug)]
pub struct TryArgs {
    #[arg(value_name = "LAB")]
    lab: String,
    /// Who tries it; the limits are of this person
    #[arg(long = "as", value_name = "ID")]
    who: String,
    /// Shown to teachers of the course `test-runs`, who are nobody unless somebody makes them
    #[arg(long)]
    name: Option<String>,
    /// How long the link can be used: 90s, 10m, 2h
    #[arg(long, default_value = "10m", value_parser = super::link::span)]
    valid: Span,
}

impl LabCommand {
    /// Runs what needs no installation; authors have none.
    pub fn without_config(&self) -> Result<Option<ExitCode>> {
        match self {
            Self::Check { images: true, .. } => Ok(None),
            Self::Check { files, .. } => Ok(Some(check(files)?.map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS))),
            Self::Schema => {
                println!("{}", serde_json::to_string_pretty(&lab_core::lab::lab_schema())?);
                Ok(Some(ExitCode::SUCCESS))
            }
            Self::Ls | Self::Publish { .. } | Self::Try(_) | Self::Withdraw { .. } => Ok(None),
        }
    }
}

pub async fn run(config: Config, command: LabCommand) -> Result<ExitCode> {
    let command = match command {
        LabCommand::Try(args) => return try_out(config, args).await,
        other => other,
    };
    let config = &config;
    if let LabCommand::Check { files, .. } = command {
        let Some(labs) = check(&files)? else {
            return Ok(ExitCode::FAILURE);
        };
        return Ok(match images::warn(config, &labs).await? {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        });
    }
    let store = wire::store(config).await?;
    if let LabCommand::Publish { files } = command {
        // all or nothing: a set of labs that is half published is worse than the old one
        let Some(labs) = check(&files)? else {
            return Ok(ExitCode::FAILURE);
        };
        for lab in &labs {
            publish(store.as_ref(), lab).await?;
        }
        // they are published whatever the runtime says: it may be another machine's
        if let Err(e) = images::warn(config, &labs).await {
            eprintln!("labwire: whether their images are there was not looked at: {e:#}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let LabCommand::Withdraw { lab, undo } = command {
        withdraw(store.as_ref(), &LabId(lab), undo).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |lab: &LabVersion| {
        let planned = table::time(i64::try_from(lab.file.time.planned.secs).unwrap_or(i64::MAX));
        let digest = lab.digest.as_str().chars().take(12).collect();
        vec![
            lab.file.id.to_string(),
            digest,
            lab.file.image.clone(),
            planned,
            lab.file.title.en.clone(),
        ]
    };
    let rows: Vec<_> = store.lab_list().await?.iter().map(row).collect();
    table::print(&["LAB", "VERSION", "IMAGE", "PLANNED", "TITLE"], &rows);
    Ok(ExitCode::SUCCESS)
}

/// As the page does it; whoever has the keys answers for every lab.
async fn try_out(config: Config, args: TryArgs) -> Result<ExitCode> {
    let config = config.with_keys(&wire::entropy())?;
    let store = wire::store(&config).await?;
    let lab = LabId(args.lab);
    if store.lab_latest(&lab).await?.is_none() {
        bail!("{lab} is not published; `labwire lab ls` lists what is, `labwire lab publish FILE` adds one");
    }
    let valid = Duration::from_secs(args.valid.secs);
    let claims = super::link::claims(&config, Role::Operations, &args.who, CourseId(String::new()), valid);
    let claims = LaunchClaims {
        name: args.name.clone(),
        ..claims.to_test_run(lab.clone())
    };
    let event = AuditEvent {
        at: wire::clock().now(),
        actor: args.who.clone().into(),
        actor_name: args.name.unwrap_or(args.who),
        role: Role::Operations,
        action: TEST_RUN_ACTION.into(),
        session: None,
        course: Some(claims.course.clone()),
        about: None,
        detail: lab.to_string(),
    };
    store.audit_append(&event).await?;
    println!("{}", super::link::url(&config, &wire::keyring(&config)?, &claims));
    Ok(ExitCode::SUCCESS)
}

/// Reads all files, printing what is wrong and what is fine; the labs, unless one is wrong.
fn check(files: &[PathBuf]) -> Result<Option<Vec<LabVersion>>> {
    let mut labs = Vec::new();
    let mut wrong = 0;
    for path in files {
        match read(path)? {
            Ok(lab) => {
                println!(
                    "{}: {} is fine (version {})",
                    path.display(),
                    lab.file.id,
                    &lab.digest.as_str()[..12]
                );
                labs.push(lab);
            }
            Err(refused) => {
                wrong += refused.problems.len();
                for p in &refused.problems {
                    // as compilers write it, so that editors jump to the line
                    let remedy = if p.remedy.is_empty() {
                        String::new()
                    } else {
                        format!("; {}", p.remedy)
                    };
                    println!(
                        "{}:{}: {}: found {}, expected {}{remedy}",
                        path.display(),
                        p.line,
                        p.field,
                        p.found,
                        p.expected
                    );
                }
            }
        }
    }
    if wrong > 0 {
        println!("{wrong} problem(s)");
    }
    Ok((wrong == 0).then_some(labs))
}

/// Reads one lab file; of one that is too long, only as much as shows that it is.
pub fn read(path: &Path) -> Result<Result<LabVersion, LabRefused>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(LAB_FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(LabVersion::parse(&path.display().to_string(), &bytes))
}

/// Adds a version and makes it the latest.
pub async fn publish(store: &dyn Store, lab: &LabVersion) -> Result<()> {
    Ok(store.lab_publish(lab, wire::clock().now()).await?)
}

/// Whether a lab was published and is withdrawn now.
pub async fn withdrawn(store: &dyn Store, id: &LabId) -> Result<bool> {
    Ok(store.lab_latest(id).await?.is_none() && store.lab_last(id).await?.is_some())
}

/// Withdraws a lab, or publishes it again.
async fn withdraw(store: &dyn Store, id: &LabId, undo: bool) -> Result<()> {
    let Some(last) = store.lab_last(id).await? else {
        let labs = store.lab_list().await?;
        let meant = nearest(id.as_str(), labs.iter().map(|l| l.file.id.as_str()));
        let meant = meant.map(|m| format!("; is {m} meant?")).unwrap_or_default();
        bail!("there is no lab {id}{meant} `labwire lab ls` lists those that are published");
    };
    let version = &last.digest.as_str()[..12];
    if undo {
        publish(store, &last).await?;
        println!("{id} is published again (version {version})");
        return Ok(());
    }
    let filter = SessionFilter {
        lab: Some(id.clone()),
        live: true,
        ..SessionFilter::default()
    };
    let was = store.lab_withdraw(id).await?;
    let running = store.session_list(&filter).await?.len();
    let said = if was { "is withdrawn" } else { "was withdrawn before" };
    println!(
        "{id} {said}: nobody can start it; {running} session(s) that run it go on, and its warm sandboxes are removed"
    );
    println!("to undo it: labwire lab withdraw {id} --undo");
    Ok(())
}

/// Folders deep: image/labs/lab/lab.yaml has three.
const DEPTH_MAX: usize = 4;

/// Every `lab.yaml` below a folder, in order of their paths.
pub fn find(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < DEPTH_MAX {
                open.push((entry.path(), depth + 1));
            } else if entry.file_name() == "lab.yaml" && !kind.is_dir() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
