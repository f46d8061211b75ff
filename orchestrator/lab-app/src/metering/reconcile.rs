//! Every sum twice, from different tables.

use lab_core::{
    Timestamp,
    metering::{RECONCILE_LINES, ReconcileLine, Reconciliation, UsageRow},
    port::{SessionFilter, Store, StoreError},
};

/// Sessions that may be live at once, far over any installation's: what `serve` itself looks at.
const LIVE_MAX: u32 = 100_000;

/// Reconciles the ledger. What is settled between two of its readings looks like a difference for a moment, so a difference is read once
/// more before it counts.
///
/// # Errors
/// The store does not answer.
pub async fn reconcile(store: &dyn Store, at: Timestamp) -> Result<Reconciliation, StoreError> {
    let first = once(store, at).await?;
    if first.off_secs() == 0 {
        return Ok(first);
    }
    once(store, at).await
}

async fn once(store: &dyn Store, at: Timestamp) -> Result<Reconciliation, StoreError> {
    let (kept, counted) = (store.ledger_sums().await?, store.ledger_recount().await?);
    let usage = store.usage_list(None, None, None).await?;
    let live = SessionFilter {
        live: true,
        limit: LIVE_MAX,
        ..SessionFilter::default()
    };
    let held: i64 = store.session_list(&live).await?.iter().map(|s| s.held_secs).sum();
    let sum = |f: fn(&UsageRow) -> i64| usage.iter().map(f).sum::<i64>();
    let sides = [
        (counted.total, 0),
        (kept.held, counted.held),
        (counted.used, sum(|r| r.billed_seconds - r.refunded_seconds)),
        (counted.held, held),
        (sum(|r| r.sandbox_seconds), sum(|r| r.billed_seconds + r.unbilled_seconds)),
    ];
    let line = |((what, _), (left, right)): ((&str, &str), (i64, i64))| ReconcileLine {
        what: what.to_owned(),
        left,
        right,
    };
    Ok(Reconciliation {
        at,
        lines: RECONCILE_LINES.into_iter().zip(sides).map(line).collect(),
    })
}
