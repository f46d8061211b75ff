//! Stage 2, entitlement: what a batch of vouchers was agreed on.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    GrantId, LabId, Subject, Timestamp, VoucherBatchId,
    entitlement::{Seat, TermsState, VoucherBatch, VoucherRefusal, VoucherTerms},
};
use sqlx::AnyConnection;
use std::collections::HashMap;

/// See [`lab_core::port::Store::voucher_terms_put`].
pub(crate) async fn put(tx: &mut Tx, (batch, terms): &(VoucherBatchId, VoucherTerms)) -> Result<(), Failure> {
    // what was agreed with whoever sells is agreed: statements of years to come say it
    let known = find(tx, *batch).await?;
    let fixed = |t: &VoucherTerms| (t.sale(), t.credit.clone());
    if known.is_some_and(|known| fixed(&known) != fixed(terms)) {
        let detail =
            "who sells its codes, for what and with which credit, is fixed when it is made; make another batch";
        return Err(Failure::conflict("voucher batch", batch, detail));
    }
    let terms = serde_json::to_string(terms).map_err(|e| Failure::Unreadable(format!("voucher_terms ({e})")))?;
    sqlx::query(
        "INSERT INTO voucher_terms (batch, terms) VALUES ($1, $2) ON CONFLICT (batch) DO UPDATE SET terms = excluded.terms",
    )
    .bind(batch.to_string())
    .bind(terms)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) fn read(text: &str) -> Result<VoucherTerms, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::Unreadable(format!("voucher_terms ({e})")))
}

/// A batch's terms, locked; none: none hold.
pub(crate) async fn locked(tx: &mut Tx, batch: VoucherBatchId) -> Result<VoucherTerms, Failure> {
    Ok(find(tx, batch).await?.unwrap_or_default())
}

async fn find(tx: &mut Tx, batch: VoucherBatchId) -> Result<Option<VoucherTerms>, Failure> {
    let dialect = tx.dialect;
    dialect.lock_terms(tx.conn(), batch).await?;
    let found = sqlx::query("SELECT terms FROM voucher_terms WHERE batch = $1")
        .bind(batch.to_string())
        .fetch_optional(tx.conn())
        .await?;
    found.map(|r| read(&row::text(&r, "terms")?)).transpose()
}

/// What the next code of a batch gives to somebody. The terms are locked.
pub(crate) async fn share(
    tx: &mut Tx,
    (batch, terms): (&VoucherBatch, &VoucherTerms),
    (subject, at): (&Subject, Timestamp),
) -> Result<Result<i64, VoucherRefusal>, Failure> {
    if terms.trial.is_some() {
        // codes of two batches of one trial share no row that could be locked; whoever takes a seat of both does
        let dialect = tx.dialect;
        dialect.lock_learner(tx.conn(), subject).await?;
        if seated(tx.conn(), (batch, terms), subject, at).await? {
            return Ok(Err(VoucherRefusal::Seated));
        }
    }
    if terms.pot.is_none() {
        return Ok(Ok(batch.seconds));
    }
    let given = seats(tx.conn(), batch.id).await?.iter().map(|s| s.given).sum();
    Ok(terms.gives(batch.seconds, given).ok_or(VoucherRefusal::PotEmpty))
}

/// Whether somebody has a seat of this trial, in whichever of its batches.
async fn seated(
    conn: &mut AnyConnection,
    (batch, terms): (&VoucherBatch, &VoucherTerms),
    subject: &Subject,
    at: Timestamp,
) -> Result<bool, Failure> {
    let theirs = sqlx::query(
        "SELECT DISTINCT t.batch, t.terms, b.course FROM voucher v JOIN voucher_terms t ON t.batch = v.batch
             JOIN voucher_batch b ON b.id = v.batch
         WHERE v.redeemed_by = $1",
    )
    .bind(subject.as_str())
    .fetch_all(conn)
    .await?;
    for r in &theirs {
        let other = (row::text(r, "course")?.into(), read(&row::text(r, "terms")?)?);
        if row::id::<VoucherBatchId>(r, "batch")? == batch.id
            || terms.is_same_trial(&batch.course, (&other.0, &other.1), at)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a batch's codes gave, by redemption.
async fn seats(conn: &mut AnyConnection, batch: VoucherBatchId) -> Result<Vec<Seat>, Failure> {
    let rows = sqlx::query(
        "SELECT v.redeemed_at, g.id AS grant_id, g.seconds,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id
              WHERE t.key = 'revoke/' || g.id AND e.account = 'grant:' || g.id) AS taken_back,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_entry e JOIN ledger_tx t ON t.id = e.tx
              WHERE e.account = 'grant:' || g.id AND t.session IS NOT NULL) AS drawn
         FROM voucher v JOIN lab_grant g ON g.id = v.grant_id WHERE v.batch = $1 ORDER BY v.redeemed_at, g.id",
    )
    .bind(batch.to_string())
    .fetch_all(&mut *conn)
    .await?;
    let labs = sqlx::query(
        "SELECT DISTINCT v.grant_id, s.lab FROM voucher v JOIN ledger_entry e ON e.account = 'grant:' || v.grant_id
             JOIN ledger_tx t ON t.id = e.tx JOIN session s ON s.id = t.session
         WHERE v.batch = $1 ORDER BY v.grant_id, s.lab",
    )
    .bind(batch.to_string())
    .fetch_all(conn)
    .await?;
    let mut by_grant: HashMap<GrantId, Vec<LabId>> = HashMap::new();
    for r in &labs {
        let lab = row::text(r, "lab")?.into();
        by_grant.entry(row::id(r, "grant_id")?).or_default().push(lab);
    }
    rows.iter()
        .map(|r| {
            Ok(Seat {
                redeemed_at: row::time(r, "redeemed_at")?,
                // both are negative: they were taken off
                given: row::int(r, "seconds")? + row::int(r, "taken_back")?,
                drawn: -row::int(r, "drawn")?,
                labs: by_grant.remove(&row::id(r, "grant_id")?).unwrap_or_default(),
            })
        })
        .collect()
}

/// See [`lab_core::port::Store::voucher_terms_list`].
pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<TermsState>, Failure> {
    let rows = sqlx::query(
        "SELECT t.batch, t.terms FROM voucher_terms t JOIN voucher_batch b ON b.id = t.batch
         ORDER BY b.created_at DESC, b.id DESC",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for r in &rows {
        let batch = row::id(r, "batch")?;
        all.push(TermsState {
            batch,
            terms: read(&row::text(r, "terms")?)?,
            seats: seats(conn, batch).await?,
        });
    }
    Ok(all)
}
