//! `labwire reconcile`: whether every second is accounted for.

use crate::{config::Config, table, wire};
use anyhow::Result;
use lab_core::port::{SessionFilter, Store};
use std::process::ExitCode;

/// Sessions that may be live at once, far over any installation's: what `serve` itself looks at.
const LIVE_MAX: u32 = 100_000;

/// One line: what should be nothing, and what it is.
struct Line {
    what: &'static str,
    left: i64,
    right: i64,
}

/// Every sum is made twice, from different tables; exit status 1 when any difference is not zero. Run it daily, while it is quiet: what
/// is settled between two of its readings looks like a difference for a moment, so a difference is read once more before it counts.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let mut lines = lines(store.as_ref()).await?;
    if lines.iter().any(|l| l.left != l.right) {
        lines = self::lines(store.as_ref()).await?;
    }
    let row = |l: &Line| {
        vec![
            l.what.to_owned(),
            l.left.to_string(),
            l.right.to_string(),
            (l.left - l.right).to_string(),
        ]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table::print(&["SECONDS", "ONE WAY", "THE OTHER", "DIFFERENCE"], &rows);
    let off: i64 = lines.iter().map(|l| (l.left - l.right).abs()).sum();
    if off == 0 {
        println!("Every second is accounted for ({} used).", table::time(lines[2].left));
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("labwire: {off} seconds are not accounted for; keep a copy of the database and report this");
    Ok(ExitCode::FAILURE)
}

async fn lines(store: &dyn Store) -> Result<Vec<Line>> {
    let (kept, counted) = (store.ledger_sums().await?, store.ledger_recount().await?);
    let usage = store.usage_list(None, None, None).await?;
    let live = SessionFilter {
        live: true,
        limit: LIVE_MAX,
        ..SessionFilter::default()
    };
    let held: i64 = store.session_list(&live).await?.iter().map(|s| s.held_secs).sum();
    let sum = |f: fn(&lab_core::metering::UsageRow) -> i64| usage.iter().map(f).sum::<i64>();
    Ok(vec![
        Line {
            what: "all entries of the ledger, and nothing",
            left: counted.total,
            right: 0,
        },
        Line {
            what: "sums as kept and as counted again (held)",
            left: kept.held,
            right: counted.held,
        },
        Line {
            what: "used in the ledger, and billed less refunded by session",
            left: counted.used,
            right: sum(|r| r.billed_seconds - r.refunded_seconds),
        },
        Line {
            what: "held in the ledger, and by live sessions",
            left: counted.held,
            right: held,
        },
        Line {
            what: "sandbox time, and billed with unbilled",
            left: sum(|r| r.sandbox_seconds),
            right: sum(|r| r.billed_seconds + r.unbilled_seconds),
        },
    ])
}
