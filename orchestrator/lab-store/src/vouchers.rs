//! Stage 2, entitlement: vouchers. A row a code, by its keyed hash.

use crate::{courses, db::Tx, entitlement, error::Failure, plans, row, voucher_terms};
use lab_core::{
    Subject, Timestamp, TokenHash, VoucherBatchId,
    entitlement::{
        GUESSES_MAX, GUESSES_WITHIN, Grant, Redeemed, Redemption, VoucherBatch, VoucherBatchState, VoucherRefusal,
        judge, source, voucher_grant,
    },
};
use sqlx::{AnyConnection, AssertSqlSafe, any::AnyRow};
use std::time::Duration;

/// Codes of one statement: a batch of 20 000 is 80 of them, a second at 10 ms each.
const CODES_AT_ONCE: usize = 250;

/// See [`lab_core::port::Store::voucher_create`].
pub(crate) async fn create(tx: &mut Tx, (batch, codes): &(VoucherBatch, Vec<TokenHash>)) -> Result<(), Failure> {
    plans::must_exist(tx, &batch.plan).await?;
    sqlx::query(
        "INSERT INTO voucher_batch (id, label, course, plan, seconds, valid_days, priority, created_at, expires_at, key, sponsor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(batch.id.to_string())
    .bind(batch.label.as_str())
    .bind(batch.course.as_str())
    .bind(batch.plan.as_str())
    .bind(batch.seconds)
    .bind(i64::from(batch.valid_days))
    .bind(i64::from(batch.priority))
    .bind(batch.created_at.0)
    .bind(batch.expires_at.0)
    .bind(batch.key.as_str())
    .bind(batch.sponsor.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?;
    let id = batch.id.to_string();
    for some in codes.chunks(CODES_AT_ONCE) {
        let rows: Vec<String> = (2..=some.len() + 1).map(|n| format!("(${n}, $1)")).collect();
        // numbers of our own, and nothing else
        let statement = AssertSqlSafe(format!("INSERT INTO voucher (code, batch) VALUES {}", rows.join(", ")));
        let insert = some.iter().fold(sqlx::query(statement).bind(id.as_str()), |q, code| {
            q.bind(code.0.to_vec())
        });
        insert.execute(tx.conn()).await?;
    }
    Ok(())
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT b.*, (SELECT COUNT(*) FROM voucher v WHERE v.batch = b.id) AS size,
                 (SELECT COUNT(*) FROM voucher v WHERE v.batch = b.id AND v.redeemed_at IS NOT NULL) AS redeemed
             FROM voucher_batch b ",
            $tail
        )
    };
}

pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<VoucherBatchState>, Failure> {
    let rows = sqlx::query(select!("ORDER BY b.created_at DESC, b.id DESC"))
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

fn read(r: &AnyRow) -> Result<VoucherBatchState, Failure> {
    let revoked = row::time_opt(r, "revoked_at")?;
    Ok(VoucherBatchState {
        batch: VoucherBatch {
            id: row::id(r, "id")?,
            label: row::text(r, "label")?,
            course: row::text(r, "course")?.into(),
            plan: row::text(r, "plan")?.into(),
            seconds: row::int(r, "seconds")?,
            valid_days: row::small(r, "valid_days")?,
            priority: row::small(r, "priority")?,
            created_at: row::time(r, "created_at")?,
            expires_at: row::time(r, "expires_at")?,
            key: row::text(r, "key")?,
            sponsor: row::text_opt(r, "sponsor")?.map(Into::into),
        },
        size: row::small(r, "size")?,
        redeemed: row::small(r, "redeemed")?,
        revoked: match revoked {
            Some(at) => Some((at, row::text_opt(r, "revoked_reason")?.unwrap_or_default())),
            None => None,
        },
    })
}

/// See [`lab_core::port::Store::voucher_revoke`].
pub(crate) async fn revoke(
    tx: &mut Tx,
    (batch, reason, at): &(VoucherBatchId, String, Timestamp),
) -> Result<(), Failure> {
    let done = sqlx::query(
        "UPDATE voucher_batch SET revoked_at = COALESCE(revoked_at, $2), revoked_reason = COALESCE(revoked_reason, $3)
         WHERE id = $1",
    )
    .bind(batch.to_string())
    .bind(at.0)
    .bind(reason.as_str())
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::missing("voucher batch", batch));
    }
    Ok(())
}

/// See [`lab_core::port::Store::voucher_redeem`]. Locks, in this order: the guesses of who types, the voucher, its terms, of a trial the learner.
pub(crate) async fn redeem(tx: &mut Tx, r: &Redemption) -> Result<Redeemed, Failure> {
    if let Some(again_at) = blocked(tx, &r.typed_by, r.at).await? {
        return Ok(Redeemed::Refused(VoucherRefusal::Guesses { again_at }));
    }
    let Some(found) = find(tx, &r.hashes).await? else {
        sqlx::query("UPDATE voucher_guess SET wrong = wrong + 1 WHERE subject = $1")
            .bind(r.typed_by.as_str())
            .execute(tx.conn())
            .await?;
        return Ok(Redeemed::Refused(VoucherRefusal::Unknown));
    };
    let new = match judge(&found.batch, found.by.as_ref(), (&r.subject, &r.course), r.at) {
        Ok(new) => new,
        Err(refusal) => return Ok(Redeemed::Refused(refusal)),
    };
    let id = voucher_grant(found.code);
    let batch = found.batch.batch;
    if new {
        let over = courses::refusal(tx.conn(), &batch.course, &r.subject, r.at).await?;
        if let Some(refusal) = VoucherRefusal::of_course(over) {
            return Ok(Redeemed::Refused(refusal));
        }
        let terms = voucher_terms::locked(tx, batch.id).await?;
        let seconds = match voucher_terms::share(tx, (&batch, &terms), (&r.subject, r.at)).await? {
            Ok(seconds) => seconds,
            Err(refusal) => return Ok(Redeemed::Refused(refusal)),
        };
        let grant = Grant {
            id,
            subject: r.subject.clone(),
            course: batch.course,
            plan: batch.plan,
            seconds,
            priority: batch.priority,
            effective_at: r.at,
            expires_at: terms.ends(r.at.plus(Duration::from_hours(24 * u64::from(batch.valid_days)))),
            created_at: r.at,
            source: source::VOUCHER.into(),
            sponsor: batch.sponsor,
        };
        entitlement::grant_issue(tx, &grant).await?;
        entitlement::grant_at(tx, grant.id, terms.site.as_ref()).await?;
        sqlx::query("UPDATE voucher SET redeemed_by = $2, redeemed_at = $3, grant_id = $4 WHERE code = $1")
            .bind(found.code.0.to_vec())
            .bind(r.subject.as_str())
            .bind(r.at.0)
            .bind(id.to_string())
            .execute(tx.conn())
            .await?;
    }
    let grant = entitlement::grant_get(tx.conn(), id).await?;
    Ok(Redeemed::Granted {
        grant: id,
        plan: grant.plan,
        seconds: grant.seconds,
        expires_at: grant.expires_at,
        new,
    })
}

/// Takes somebody's row of guesses, and says until when they may try no more.
async fn blocked(tx: &mut Tx, subject: &Subject, at: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let over = at.minus(GUESSES_WITHIN);
    let r = sqlx::query(
        "INSERT INTO voucher_guess (subject, since, wrong) VALUES ($1, $2, 0)
         ON CONFLICT (subject) DO UPDATE SET
             wrong = CASE WHEN voucher_guess.since <= $3 THEN 0 ELSE voucher_guess.wrong END,
             since = CASE WHEN voucher_guess.since <= $3 THEN excluded.since ELSE voucher_guess.since END
         RETURNING since, wrong",
    )
    .bind(subject.as_str())
    .bind(at.0)
    .bind(over.0)
    .fetch_one(tx.conn())
    .await?;
    let (since, wrong) = (row::time(&r, "since")?, row::int(&r, "wrong")?);
    Ok((wrong >= i64::from(GUESSES_MAX)).then(|| since.plus(GUESSES_WITHIN)))
}

struct Found {
    code: TokenHash,
    by: Option<Subject>,
    batch: VoucherBatchState,
}

/// The voucher of the first hash that there is, locked.
async fn find(tx: &mut Tx, hashes: &[TokenHash]) -> Result<Option<Found>, Failure> {
    for code in hashes {
        let dialect = tx.dialect;
        dialect.lock_voucher(tx.conn(), *code).await?;
        let found = sqlx::query("SELECT batch, redeemed_by FROM voucher WHERE code = $1")
            .bind(code.0.to_vec())
            .fetch_optional(tx.conn())
            .await?;
        if let Some(r) = found {
            let batch = sqlx::query(select!("WHERE b.id = $1"))
                .bind(row::text(&r, "batch")?)
                .fetch_one(tx.conn())
                .await?;
            return Ok(Some(Found {
                code: *code,
                by: row::text_opt(&r, "redeemed_by")?.map(Subject),
                batch: read(&batch)?,
            }));
        }
    }
    Ok(None)
}
