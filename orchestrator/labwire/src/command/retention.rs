//! `labwire retention`: removes what has had its time, now instead of at `serve`'s next turn; or says what would go.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_app::{Metrics, privacy::Retention};
use lab_core::{
    port::{Clock, PrivacyStore},
    privacy::Class,
};
use prometheus::Registry;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Remove what has had its time; `serve` does it by itself
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  labwire retention --dry-run\n\nHow long what is kept: privacy.retention in the settings."
)]
pub struct RetentionArgs {
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(config: &Config, args: RetentionArgs) -> Result<ExitCode> {
    if args.dry_run {
        return dry_run(config).await;
    }
    let registry = Registry::new();
    let ports = wire::ports(
        wire::store(config).await?,
        wire::blobs(config)?,
        wire::runtime(config, &registry).await?,
        wire::platform(config)?,
        wire::mail(config)?,
    );
    let times = config.privacy.notice.retention.clone();
    // never `serve`'s own name: both would believe that they have the lease
    let holder = format!("{}/retention-{}", config.installation, std::process::id());
    let mut retention = Retention::new(ports, times, holder, Metrics::register(&registry)?);
    let done = retention.sweep(&CancellationToken::new()).await;
    retention.release().await;
    let Some(swept) = done? else {
        bail!("`labwire serve` removes what has had its time right now; ask again in a moment");
    };
    let row = |class: Class| {
        let rows = swept.rows.get(&class).copied().unwrap_or_default();
        vec![what(class).to_owned(), rows.to_string()]
    };
    table::print(&["REMOVED", "COUNT"], &Class::ALL.map(row));
    println!("{} objects of recordings were deleted.", swept.objects);
    Ok(ExitCode::SUCCESS)
}

async fn dry_run(config: &Config) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let times = &config.privacy.notice.retention;
    let due = store.retention_due(&times.before(wire::clock().now())).await?;
    let row = |d: &lab_core::privacy::Due| {
        vec![
            what(d.class).to_owned(),
            config.privacy.kept(d.class),
            d.count.to_string(),
            table::time(i64::try_from(d.overdue.as_secs()).unwrap_or(i64::MAX)),
        ]
    };
    let rows: Vec<_> = due.iter().map(row).collect();
    table::print(&["WHAT WOULD GO", "KEPT FOR", "COUNT", "OVERDUE"], &rows);
    println!("Nothing was changed.");
    Ok(ExitCode::SUCCESS)
}

fn what(class: Class) -> &'static str {
    match class {
        Class::Recordings => "recordings",
        Class::Checks => "outcomes of checks",
        Class::Names => "names shown with labs",
        Class::Audit => "who looked at whom",
    }
}
