//! `labwire serve`.

use crate::{command, config::Config, wire};
use anyhow::{Context, Result};
use clap::Args;
use lab_app::{App, Metrics};
use lab_core::{CourseId, PlanId, launch::Role, port::Store};
use lab_http::HttpSettings;
use prometheus::Registry;
use std::{process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Serve learners, teachers and operations until stopped (Ctrl-C or SIGTERM). Running labs go on, and are found again.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire serve --print-staff-links\n  labwire serve --config /etc/labwire.yaml\n  \
                        labwire serve --runtime process --labs-dir my-labs    # development, no isolation"
)]
pub struct ServeArgs {
    /// Print one-time sign-in links: a teacher of each course, and operations
    #[arg(long)]
    print_staff_links: bool,
}

pub async fn run(config: Config, args: ServeArgs) -> Result<ExitCode> {
    let config = config.with_keys(&wire::entropy())?;
    // before anything is read: what another process may still change must not be trusted
    let _lock = if config.single_process() {
        Some(wire::lock(&config)?)
    } else {
        None
    };
    let store = wire::store_when_migrated(&config).await?;
    seed(&config, store.as_ref()).await?;
    let registry = Registry::new();
    let (blobs, runtime) = (wire::blobs(&config)?, wire::runtime(&config, &registry).await?);
    if config.disk_only_watched() {
        tracing::warn!("{}; {}", super::doctor::DISK_ONLY_WATCHED, super::doctor::DISK_REMEDY);
    }
    let ports = wire::ports(
        store.clone(),
        blobs,
        runtime,
        wire::platform(&config)?,
        wire::mail(&config)?,
    );
    let settings = wire::settings(&config, wire::holder(&config));
    let app = App::new(ports, settings, wire::keyring(&config)?, Metrics::register(&registry)?);
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {} (setting: listen); is it in use?", config.listen))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, public_url = config.public_url, runtime = config.runtime.kind.name(), "serving");
    println!("Labwire serves {} on {address}", config.public_url);
    if args.print_staff_links {
        print_staff_links(&config, &app).await?;
    }
    let stop = Stop {
        draining: CancellationToken::new(),
        notice: config.limits.drain_notice,
        cancel: CancellationToken::new(),
    };
    let http = HttpSettings {
        draining: stop.draining.clone(),
        ..http_settings(&config, registry)
    };
    if let Some(warning) = config.privacy.warning() {
        tracing::warn!("{warning}");
    }
    let router = lab_http::router(Arc::clone(&app), http);
    let bounds = lab_http::Bounds {
        connections_max: config.limits.connections_max,
        ..lab_http::Bounds::default()
    };
    let door = lab_http::serve_bounded(listener, router, bounds, stop.cancel.clone());
    let ended = until_stopped(&app, door, stop).await;
    if timeout(CLOSE_WITHIN, store.close()).await.is_err() {
        tracing::warn!("the database did not answer to a goodbye");
    }
    ended?;
    tracing::info!("stopped; running labs go on");
    Ok(ExitCode::SUCCESS)
}

/// Writes under way at the end are given so long: longer than a statement may take would only be waiting for nobody.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What a supervisor gives us between SIGTERM and SIGKILL by default (Kubernetes' 30 s). The longest notice that is worth setting, the
/// longest of tasks, hubs and door (they end side by side), and the database's goodbye fit into it: 5 + 15 + 5 = 25 s.
const GRACE: Duration = Duration::from_secs(30);
const NOTICE_MAX: Duration = Duration::from_secs(5);
const _: () = assert!(
    NOTICE_MAX.as_secs() + lab_app::SHUTDOWN_MAX.as_secs() + CLOSE_WITHIN.as_secs() < GRACE.as_secs()
        && lab_http::DRAIN_WITHIN.as_secs() <= lab_app::SHUTDOWN_MAX.as_secs()
);

/// How this process ends.
///
/// ```text
/// signal ─► not ready ── notice ──► no new connections, sockets told to go elsewhere one after another, tasks ended,
///           (serves on)             leases released, recorders sealed ─► exit
/// ```
struct Stop {
    /// `/readyz` says no.
    draining: CancellationToken,
    /// … and everybody is served for so long after that.
    notice: Duration,
    /// Everything ends.
    cancel: CancellationToken,
}

/// Runs tasks and door side by side until a signal, or until one of them ends by itself.
async fn until_stopped(app: &App, door: impl Future<Output = std::io::Result<()>>, stop: Stop) -> Result<()> {
    let cancel = stop.cancel;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let tasks = async {
        let ended = app.run(cancel.clone()).await;
        cancel.cancel();
        ended.context("a background task died; the process ends so that it is started again whole")
    };
    let door = async {
        let ended = door.await;
        cancel.cancel();
        ended.context("cannot serve any more")
    };
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("asked to stop"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
            () = cancel.cancelled() => {}
        }
        stop.draining.cancel();
        tokio::select! {
            () = sleep(stop.notice) => {}
            // asked twice: somebody waits
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = cancel.cancelled() => {}
        }
        cancel.cancel();
    };
    let (tasks, door, ()) = tokio::join!(tasks, door, signals);
    tasks.and(door)
}

fn http_settings(config: &Config, registry: Registry) -> HttpSettings {
    HttpSettings {
        public_url: config.public_url.clone(),
        frame_ancestors: config.http.frame_ancestors.clone(),
        proxies: config.http.proxies,
        metrics_token: config.http.metrics_token.clone(),
        registry,
        demos: config.http.demos_dir.clone().or_else(|| config.labs_dir.clone()),
        ..HttpSettings::default()
    }
}

/// Puts plans, courses and labs of the settings into the store. What somebody made of a plan of which the settings say nothing stays. A lab that is refused leaves its last version in place, and one that was
/// withdrawn stays so: somebody decided that after the folder was written.
async fn seed(config: &Config, store: &dyn Store) -> Result<()> {
    let known = store.plan_list().await?;
    let stays = |id: &PlanId| config.plans_at_first.contains(id) && known.iter().any(|k| k.id == *id);
    for plan in config.plans.iter().filter(|p| !stays(&p.id)) {
        store.plan_put(plan).await?;
    }
    store.budgets_put(&config.accounts.budgets).await?;
    store.rates_put(&config.accounts.rates).await?;
    for course in &config.courses {
        store.course_put(course).await?;
    }
    let Some(dir) = &config.labs_dir else { return Ok(()) };
    let files =
        command::lab::find(dir).with_context(|| format!("cannot read {} (setting: labs_dir)", dir.display()))?;
    for path in files {
        match command::lab::read(&path)? {
            Ok(lab) if command::lab::withdrawn(store, &lab.file.id).await? => {
                tracing::warn!(lab.id = %lab.file.id, "withdrawn: not published again; `labwire lab withdraw LAB --undo` does");
            }
            Ok(lab) => {
                command::lab::publish(store, &lab).await?;
                tracing::info!(lab.id = %lab.file.id, digest = &lab.digest.as_str()[..12], "published");
            }
            Err(refused) => {
                for problem in &refused.problems {
                    tracing::error!(file = %path.display(), %problem, "lab refused; its last good version stays");
                }
            }
        }
    }
    Ok(())
}

async fn print_staff_links(config: &Config, app: &App) -> Result<()> {
    println!("Sign-in links, each for one tab, once, within an hour:");
    let hour = Duration::from_hours(1);
    for course in app.ports().store.course_list().await? {
        let claims = command::link::claims(config, Role::Teacher, "teacher", course.id.clone(), hour);
        println!(
            "  teacher of {:<12} {}",
            course.id,
            command::link::url(config, app.keyring(), &claims)
        );
    }
    let claims = command::link::claims(config, Role::Operations, "operations", CourseId(String::new()), hour);
    println!(
        "  operations              {}",
        command::link::url(config, app.keyring(), &claims)
    );
    Ok(())
}
