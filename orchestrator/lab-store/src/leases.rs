//! Leases with fencing epochs.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    Timestamp,
    port::{Lease, StoreError},
};
use std::time::Duration;

/// The arguments of `lease_take`.
pub(crate) struct Claim {
    pub name: String,
    pub holder: String,
    pub at: Timestamp,
    pub ttl: Duration,
}

/// One statement: free, expired or ours, and then the epoch grows when the holder is another one.
pub(crate) async fn take(tx: &mut Tx, c: &Claim) -> Result<Option<Lease>, Failure> {
    let taken = sqlx::query(
        "INSERT INTO lease (name, holder, epoch, expires_at) VALUES ($1, $2, 1, $3)
         ON CONFLICT (name) DO UPDATE SET
             epoch = CASE WHEN lease.holder = excluded.holder THEN lease.epoch ELSE lease.epoch + 1 END,
             holder = excluded.holder, expires_at = excluded.expires_at
         WHERE lease.holder = excluded.holder OR lease.expires_at <= $4
         RETURNING epoch",
    )
    .bind(c.name.as_str())
    .bind(c.holder.as_str())
    .bind(c.at.plus(c.ttl).0)
    .bind(c.at.0)
    .fetch_all(tx.conn())
    .await?;
    let Some(r) = taken.first() else { return Ok(None) };
    Ok(Some(Lease {
        name: c.name.clone(),
        holder: c.holder.clone(),
        epoch: row::unsigned(r, "epoch")?,
        expires_at: c.at.plus(c.ttl),
    }))
}

/// Frees it, if it is still this one. The row stays with nobody's name, so that the epoch goes on growing whoever comes.
pub(crate) async fn release(tx: &mut Tx, lease: &Lease) -> Result<(), Failure> {
    sqlx::query("UPDATE lease SET holder = '', expires_at = 0 WHERE name = $1 AND holder = $2 AND epoch = $3")
        .bind(lease.name.as_str())
        .bind(lease.holder.as_str())
        .bind(row::count(lease.epoch))
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Refuses an epoch that is not the lease's newest, and keeps the lease as it is until this transaction is over.
pub(crate) async fn fence(tx: &mut Tx, name: &str, epoch: u64) -> Result<(), Failure> {
    let dialect = tx.dialect;
    dialect.lock_lease(tx.conn(), name).await?;
    let newest = sqlx::query("SELECT epoch FROM lease WHERE name = $1")
        .bind(name)
        .fetch_optional(tx.conn())
        .await?;
    let newest = newest.map(|r| row::unsigned(&r, "epoch")).transpose()?;
    if newest == Some(epoch) {
        return Ok(());
    }
    let what = name.to_owned();
    Err(StoreError::Fenced { what, epoch }.into())
}
