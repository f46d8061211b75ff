//! `labwire reconcile`: whether every second is accounted for.

use crate::{config::Config, table, wire};
use anyhow::Result;
use lab_app::metering::reconcile;
use lab_core::{
    metering::{RECONCILE_LINES, ReconcileLine},
    port::{Clock, MoneyStore},
};
use std::process::ExitCode;

/// Every sum is made twice, from different tables; exit status 1 when any difference is not zero. `serve` does the same daily.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let done = reconcile(store.as_ref(), wire::clock().now()).await?;
    store.reconciliation_put(&done).await?;
    let row = |l: &ReconcileLine| {
        let words = RECONCILE_LINES.iter().find(|(code, _)| *code == l.what);
        vec![
            words.map_or(l.what.as_str(), |(_, words)| words).to_owned(),
            l.left.to_string(),
            l.right.to_string(),
            (l.left - l.right).to_string(),
        ]
    };
    let rows: Vec<_> = done.lines.iter().map(row).collect();
    table::print(&["SECONDS", "ONE WAY", "THE OTHER", "DIFFERENCE"], &rows);
    let off = done.off_secs();
    if off == 0 {
        println!(
            "Every second is accounted for ({} used).",
            table::time(done.used_secs())
        );
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("labwire: {off} seconds are not accounted for; keep a copy of the database and report this");
    Ok(ExitCode::FAILURE)
}
