//! Warm pools: rows written under the lease, and the claim that a click makes.

use crate::{db::Tx, error::Failure, leases, row};
use lab_core::{
    LabDigest, SandboxId, SessionId, Timestamp,
    port::{POOL_LEASE, PoolChange, PoolWrite},
    provisioning::{DrainReason, PoolSandbox, PoolState},
};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::Store::pool_list`].
pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<PoolSandbox>, Failure> {
    let rows = sqlx::query("SELECT * FROM pool_sandbox ORDER BY made_at, sandbox")
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// See [`lab_core::port::Store::pool_write`].
pub(crate) async fn write(tx: &mut Tx, w: &PoolWrite) -> Result<bool, Failure> {
    leases::fence(tx, POOL_LEASE, w.epoch).await?;
    match &w.change {
        PoolChange::Make {
            row,
            sandboxes_max,
            reserved,
        } => {
            if has_room(tx, *sandboxes_max, *reserved).await? {
                insert(tx, row, w.epoch).await
            } else {
                Ok(false)
            }
        }
        PoolChange::Ready { sandbox, at, ready_us } => ready(tx, *sandbox, (*at, *ready_us), w.epoch).await,
        PoolChange::Drain { sandbox, reason } => drain(tx, *sandbox, *reason, w.epoch).await,
        PoolChange::Forget { sandbox } => {
            let forget = "DELETE FROM pool_sandbox WHERE sandbox = $1 AND state IN ('draining', 'claimed')";
            let done = sqlx::query(forget).bind(sandbox.to_string()).execute(tx.conn()).await?;
            Ok(done.rows_affected() == 1)
        }
    }
}

/// Sandboxes of sessions that have or are getting one, of pools, and (unless `reserved`) of sessions that wait for one.
async fn has_room(tx: &mut Tx, sandboxes_max: u32, reserved: bool) -> Result<bool, Failure> {
    let taken = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM session WHERE over_at IS NULL
                     AND ($1 = 0 OR state NOT IN ('requested', 'queued')))
              + (SELECT COUNT(*) FROM pool_sandbox WHERE state <> 'claimed') AS taken",
    )
    .bind(i64::from(reserved))
    .fetch_one(tx.conn())
    .await?;
    Ok(row::int(&taken, "taken")? < i64::from(sandboxes_max))
}

async fn insert(tx: &mut Tx, r: &PoolSandbox, epoch: u64) -> Result<bool, Failure> {
    let done = sqlx::query(
        "INSERT INTO pool_sandbox (sandbox, session, lab, digest, state, made_at, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (sandbox) DO NOTHING",
    )
    .bind(r.sandbox.to_string())
    .bind(r.session.to_string())
    .bind(r.lab.as_str())
    .bind(r.digest.as_str())
    .bind(PoolState::Making.name())
    .bind(r.made_at.0)
    .bind(row::count(epoch))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn ready(tx: &mut Tx, sandbox: SandboxId, (at, us): (Timestamp, u64), epoch: u64) -> Result<bool, Failure> {
    let done = sqlx::query(
        "UPDATE pool_sandbox SET state = 'ready', ready_at = $2, ready_us = $3, epoch = $4
         WHERE sandbox = $1 AND state = 'making'",
    )
    .bind(sandbox.to_string())
    .bind(at.0)
    .bind(row::count(us))
    .bind(row::count(epoch))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn drain(tx: &mut Tx, sandbox: SandboxId, reason: DrainReason, epoch: u64) -> Result<bool, Failure> {
    let done = sqlx::query(
        "UPDATE pool_sandbox SET state = 'draining', reason = $2, epoch = $3
         WHERE sandbox = $1 AND state IN ('making', 'ready')",
    )
    .bind(sandbox.to_string())
    .bind(reason.code())
    .bind(row::count(epoch))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Claims the oldest ready sandbox of a version, if there is one. In Postgres rows that another click is just claiming are
/// passed over, so that of fifty clicks at once each gets a sandbox of its own and none waits for another.
pub(crate) async fn claim(
    tx: &mut Tx,
    digest: &LabDigest,
    at: Timestamp,
) -> Result<Option<(SessionId, SandboxId)>, Failure> {
    let Some(sandbox) = tx.dialect.oldest_ready(tx.conn(), digest).await? else {
        return Ok(None);
    };
    let claimed = sqlx::query(
        "UPDATE pool_sandbox SET state = 'claimed', claimed_at = $2 WHERE sandbox = $1 AND state = 'ready'
         RETURNING session",
    )
    .bind(sandbox.as_str())
    .bind(at.0)
    .fetch_all(tx.conn())
    .await?;
    let Some(r) = claimed.first() else { return Ok(None) };
    let sandbox = sandbox
        .parse()
        .map_err(|_| Failure::Unreadable("sandbox is not an id".into()))?;
    Ok(Some((row::id(r, "session")?, sandbox)))
}

fn read(r: &AnyRow) -> Result<PoolSandbox, Failure> {
    let state = row::text(r, "state")?;
    Ok(PoolSandbox {
        sandbox: row::id(r, "sandbox")?,
        session: row::id(r, "session")?,
        lab: row::text(r, "lab")?.into(),
        digest: row::text(r, "digest")?.into(),
        state: PoolState::from_name(&state)
            .ok_or_else(|| Failure::Unreadable(format!("pool state {state:?} is unknown")))?,
        made_at: row::time(r, "made_at")?,
        ready_at: row::time_opt(r, "ready_at")?,
        ready_us: row::unsigned_opt(r, "ready_us")?,
        claimed_at: row::time_opt(r, "claimed_at")?,
        reason: row::text_opt(r, "reason")?,
    })
}
