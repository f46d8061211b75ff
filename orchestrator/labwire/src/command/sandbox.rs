//! `labwire sandbox ls|clear`.

use crate::{
    config::{Config, RuntimeKind},
    table, wire,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    lab::Span,
    port::{Runtime, SandboxPhase},
};
use lab_runtime_kubernetes::runtime::KubernetesRuntime;
use prometheus::Registry;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

#[derive(Subcommand, Debug)]
pub enum SandboxCommand {
    /// What the runtime has for this installation, sessions' and pools'
    #[command(after_help = "Example:\n  labwire sandbox ls")]
    Ls,
    /// Remove every sandbox of this installation and wait until none is left; for when it is uninstalled. Labs that run end, and
    /// learners get the lost time back
    #[command(after_help = "Example:\n  labwire sandbox clear --within 2m")]
    Clear(ClearArgs),
}

#[derive(Args, Debug)]
pub struct ClearArgs {
    /// How long to try: 90s, 10m
    #[arg(long, default_value = "2m", value_parser = super::link::span)]
    within: Span,
}

/// A pod ends within its grace period of seconds; the runtime is not asked more often than a person would look.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server that still runs may have been about to make one: none is left when this many looks in a row find none.
const EMPTY_LOOKS: usize = 3;

pub async fn run(config: &Config, command: SandboxCommand) -> Result<ExitCode> {
    match command {
        SandboxCommand::Ls => ls(wire::runtime(config, &Registry::new()).await?.as_ref()).await?,
        SandboxCommand::Clear(args) => {
            let until = Instant::now() + Duration::from_secs(args.within.secs);
            if config.runtime.kind == RuntimeKind::Kubernetes {
                let runtime = wire::kubernetes(config, &Registry::new()).await?;
                clear(&runtime, until).await?;
                taken_down(&runtime, until).await?;
            } else {
                clear(wire::runtime(config, &Registry::new()).await?.as_ref(), until).await?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ls(runtime: &dyn Runtime) -> Result<()> {
    let rows = runtime.sandbox_list().await.context("cannot list sandboxes")?;
    let rows = rows.iter().map(|s| {
        let phase = match &s.phase {
            SandboxPhase::Starting { .. } => "starting",
            SandboxPhase::Running => "running",
            SandboxPhase::Gone { .. } => "gone",
        };
        let node = s.node.clone().unwrap_or_else(|| "-".into());
        vec![s.id.to_string(), s.session.to_string(), phase.to_owned(), node]
    });
    table::print(&["SANDBOX", "SESSION", "PHASE", "NODE"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// Removes until none is left. A single refusal does not end it: it is tried again at the next look.
async fn clear(runtime: &dyn Runtime, until: Instant) -> Result<()> {
    let (mut removed, mut empty) = (std::collections::HashSet::new(), 0);
    let mut last = None;
    while empty < EMPTY_LOOKS {
        match runtime.sandbox_list().await {
            Ok(left) if left.is_empty() => empty += 1,
            Ok(left) => {
                empty = 0;
                for sandbox in &left {
                    match runtime.sandbox_drop(sandbox.id).await {
                        Ok(()) => drop(removed.insert(sandbox.id)),
                        Err(e) => last = Some(e),
                    }
                }
                if Instant::now() >= until {
                    let why = last.map_or_else(|| "they are being removed".to_owned(), |e| e.to_string());
                    bail!("{} sandboxes are left: {why}", left.len());
                }
            }
            Err(e) if Instant::now() >= until => return Err(e).context("cannot list sandboxes"),
            Err(e) => last = Some(e),
        }
        if empty < EMPTY_LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    println!("{} sandboxes removed, none left", removed.len());
    Ok(())
}

/// A dropped sandbox is not listed any more, and the controller still has to end its pod and let the object go: who stops the controller
/// before that leaves objects that nobody can remove.
async fn taken_down(runtime: &KubernetesRuntime, until: Instant) -> Result<()> {
    loop {
        let left = runtime.count().await.context("cannot count sandboxes")?;
        if left == 0 {
            println!("the controller has taken all of them down");
            return Ok(());
        }
        if Instant::now() >= until {
            bail!("{left} sandboxes are dropped and not taken down: does a controller lead? (kubectl get lease)");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
