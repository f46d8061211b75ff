//! `labwire doctor`: what is missing on this machine, and how to get it.

use super::{
    images::{self, RUNTIME_WITHIN},
    lab,
};
use crate::{
    config::{Config, RuntimeKind},
    wire,
};
use anyhow::Result;
use lab_core::port::Store;
use prometheus::Registry;
use std::{collections::BTreeSet, path::Path, process::ExitCode, sync::Arc};
use tokio::net::TcpListener;

/// Free space wanted in the data folder: a class of 30 recording 10 MB each, ten times over.
const DISK_FREE_MIB_MIN: u64 = 3 * 1024;

/// What one look found.
struct Finding {
    what: &'static str,
    /// What is there.
    found: String,
    /// How to get what is missing; none when nothing is.
    remedy: Option<String>,
    /// Labs run as it is, and something may go wrong that the remedy prevents.
    risk: bool,
}

impl Finding {
    fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
            remedy: None,
            risk: false,
        }
    }
    fn missing(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
            remedy: Some(remedy.into()),
            risk: false,
        }
    }
    fn risk(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            risk: true,
            ..Self::missing(what, found, remedy)
        }
    }
}

/// What an operator of Docker without `runtime.disk_quota` is told, here and by `serve` at its start.
pub const DISK_ONLY_WATCHED: &str = "labs on Docker may fill this machine's disk between two looks at what they wrote, and with deleted files that are open \
    (runtime.disk_quota is false)";
/// And what to do.
pub const DISK_REMEDY: &str = "let Docker's storage be overlay2 on xfs that is mounted with `pquota`, and set runtime.disk_quota: true; until then \
    give Docker's folder a disk of its own";

pub async fn run(config: &Config) -> Result<ExitCode> {
    let mut findings = vec![agent(config)];
    findings.extend(runtime(config).await);
    findings.push(database(config).await);
    findings.push(disk(&config.data_dir));
    if config.disk_only_watched() {
        findings.push(Finding::risk("quota", DISK_ONLY_WATCHED, DISK_REMEDY));
    }
    findings.push(port(config).await);
    for f in &findings {
        let word = match f.remedy {
            None => "ok     ",
            Some(_) if f.risk => "RISK   ",
            Some(_) => "MISSING",
        };
        println!("{word} {:<10} {}", f.what, f.found);
        if let Some(remedy) = &f.remedy {
            println!("{:19}→ {remedy}", "");
        }
    }
    let missing = findings.iter().filter(|f| f.remedy.is_some() && !f.risk).count();
    println!(
        "{}",
        if missing == 0 {
            "everything is here".to_owned()
        } else {
            format!("{missing} thing(s) missing")
        }
    );
    Ok(if missing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn agent(config: &Config) -> Finding {
    match config.agent() {
        _ if config.runtime.kind == RuntimeKind::Kubernetes => Finding::fine("agent", "of the controller's image"),
        // as it is, not by the way it was found (`…/release/../x86_64-…/`)
        Some(path) => Finding::fine("agent", path.canonicalize().unwrap_or(path).display().to_string()),
        None => Finding::missing(
            "agent",
            config
                .runtime
                .agent
                .as_ref()
                .map_or("not found".to_owned(), |p| format!("{} is not a file", p.display())),
            "build it with `make agent`, and put it beside labwire or name it: LABWIRE_AGENT=…/lab-agent",
        ),
    }
}

/// The engine, and the images of all labs that are known or about to be.
async fn runtime(config: &Config) -> Vec<Finding> {
    let runtime = match wire::runtime(config, &Registry::new()).await {
        Ok(runtime) => runtime,
        Err(e) => {
            return vec![Finding::missing(
                "runtime",
                format!("{e:#}"),
                "mend what it names, then look again",
            )];
        }
    };
    let health = tokio::time::timeout(RUNTIME_WITHIN, runtime.health()).await;
    let engine = match health {
        Ok(Ok(version)) => Finding::fine("runtime", format!("{} {version}", runtime.name())),
        other => {
            let why = match other {
                Ok(Err(e)) => format!("{:#}", anyhow::Error::from(e)),
                _ => "it does not answer in 5 s".to_owned(),
            };
            let remedy = match config.runtime.kind {
                RuntimeKind::Docker => {
                    "start Docker (`scripts/engine` starts one here), or say where it is: DOCKER_HOST=unix:///…; is your user \
                     in the group docker?"
                }
                RuntimeKind::Process => "make runtime.state_dir writable",
                RuntimeKind::Kubernetes => {
                    "see that KUBECONFIG names a cluster that answers (`kubectl version`), that it has LabSandbox (`labwire crd | \
                     kubectl apply -f -`), and that runtime.kubernetes.namespace is there and yours"
                }
            };
            return vec![Finding::missing("runtime", why, remedy)];
        }
    };
    let mut findings = vec![engine];
    for image in known_images(config).await {
        findings.push(match runtime.image_present(&image).await {
            Ok(true) => Finding::fine("image", image),
            Ok(false) if config.runtime.pull => Finding::fine("image", format!("{image}, to be fetched at first use")),
            Ok(false) => Finding::missing("image", image, images::REMEDY),
            Err(e) => Finding::missing("image", format!("{image}: {e}"), "see the runtime above"),
        });
    }
    findings
}

async fn known_images(config: &Config) -> BTreeSet<String> {
    let files = config
        .labs_dir
        .as_deref()
        .map(lab::find)
        .and_then(Result::ok)
        .unwrap_or_default();
    let mut images: BTreeSet<String> = files
        .iter()
        .filter_map(|f| lab::read(f).ok()?.ok())
        .map(|lab| lab.file.image)
        .collect();
    // a database that is not made yet has no labs, and looking must not make it
    if config.data_dir.is_dir()
        && let Ok(store) = wire::store(config).await
    {
        images.extend(
            store
                .lab_list()
                .await
                .unwrap_or_default()
                .into_iter()
                .map(|lab| lab.file.image),
        );
    }
    images
}

async fn database(config: &Config) -> Finding {
    if config.single_process() && !config.data_dir.is_dir() {
        return Finding::fine("database", format!("to be made in {}", config.data_dir.display()));
    }
    let opened: Result<Arc<_>> = wire::store(config).await;
    let answer = match opened {
        Ok(store) => store.ping().await.map_err(anyhow::Error::from),
        Err(e) => Err(e),
    };
    match answer {
        Ok(()) => Finding::fine("database", "it answers"),
        Err(e) => Finding::missing(
            "database",
            format!("{e:#}"),
            "mend the setting `database`, or the rights of data_dir",
        ),
    }
}

fn disk(data_dir: &Path) -> Finding {
    let there = data_dir.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("."));
    match free_mib(there) {
        Some(mib) if mib >= DISK_FREE_MIB_MIN => {
            Finding::fine("disk", format!("{mib} MiB free in {}", there.display()))
        }
        Some(mib) => Finding::missing(
            "disk",
            format!("{mib} MiB free"),
            format!("free {DISK_FREE_MIB_MIN} MiB, or choose another data_dir"),
        ),
        None => Finding::missing("disk", "`df` does not tell", "install coreutils, or look yourself"),
    }
}

/// By `df`, whose output POSIX fixes: the fourth column of the second line, in KiB.
fn free_mib(dir: &Path) -> Option<u64> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let out = std::process::Command::new("df").arg("-Pk").arg(dir).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / 1024)
}

async fn port(config: &Config) -> Finding {
    match TcpListener::bind(config.listen).await {
        Ok(_) => Finding::fine("port", format!("{} is free", config.listen)),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => match super::health::readiness(config).await {
            Ok(_) => Finding::fine("port", format!("{} serves labwire now", config.listen)),
            Err(_) => Finding::missing(
                "port",
                format!("{} is in use", config.listen),
                "choose another: LABWIRE_LISTEN=127.0.0.1:8081",
            ),
        },
        Err(e) => Finding::missing(
            "port",
            format!("{}: {e}", config.listen),
            "choose another: LABWIRE_LISTEN=127.0.0.1:8081",
        ),
    }
}
