//! Every sum twice, from different tables.

use lab_core::{
    Timestamp,
    metering::{RECONCILE_LINES, ReconcileLine, Reconciliation},
    port::{Store, StoreError},
};

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
    let sessions = store.session_sums().await?;
    let sides = [
        (counted.total, 0),
        (kept.held, counted.held),
        (counted.used, sessions.billed - sessions.refunded),
        (counted.held, sessions.held),
        (sessions.sandbox, sessions.billed + sessions.unbilled),
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
