//! Stage 7, metering: holds grow, are settled once, or are voided.

use crate::{costs, db::Tx, entitlement, error::Failure, ledger, provisioning, row};
use lab_core::{
    CourseId, GrantId, LabId, SessionId, Subject, Timestamp,
    metering::{
        Account, FIRST_LOSS, LOSSES_WITHIN, Transaction, TxKind, UNBILLED_LOSSES_A_DAY, UsageRow, first_loss,
        paid_pieces, refund_pieces, split_hold,
    },
    port::{Refund, Session, Settlement},
    provisioning::{EndReason, SessionState},
};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::Store::hold_extend`]. The total is absolute, so a retry draws nothing more. A session that is over
/// or settled holds what it holds.
pub(crate) async fn hold_extend(
    tx: &mut Tx,
    (id, held_secs, at): &(SessionId, i64, Timestamp),
) -> Result<i64, Failure> {
    let session = provisioning::lock(tx, *id).await?;
    let missing = held_secs.saturating_sub(session.held_secs);
    if missing <= 0 || session.is_test_run() || session.state.is_over() || session.billed_secs.is_some() {
        return Ok(session.held_secs);
    }
    let drawn = entitlement::reserve(tx, &session, missing, *at).await?;
    Ok(session.held_secs + drawn)
}

/// See [`lab_core::port::Store::settle`].
pub(crate) async fn settle(tx: &mut Tx, s: &Settlement) -> Result<UsageRow, Failure> {
    let session = provisioning::lock(tx, s.session).await?;
    if let Some(row) = usage_of(tx.conn(), s.session).await? {
        return Ok(row);
    }
    if session.ready_at.is_none() {
        return void(tx, &session, &session.state, s.at).await;
    }
    let sandbox = s.sandbox_secs.max(0);
    let (billable, unbilled_reason) = if session.is_test_run() {
        // whoever asks: there is nobody to bill a test run to
        (0, s.unbilled_reason.clone())
    } else if let Some(loss) = s.loss
        && first_losses(tx, &session, s.at).await? < UNBILLED_LOSSES_A_DAY
    {
        (0, Some(first_loss(loss)))
    } else {
        (s.billable_secs.clamp(0, sandbox), s.unbilled_reason.clone())
    };
    // the clock ran past the hold: what the learner still has pays first
    let missing = billable - session.held_secs;
    if missing > 0 {
        entitlement::reserve(tx, &session, missing, s.at).await?;
    }
    let used = empty_hold(tx, &session, TxKind::Settle, billable, unbilled_reason.clone(), s.at).await?;
    let lost = (sandbox > billable).then(|| unbilled_reason.unwrap_or_else(|| "not-billable".to_owned()));
    let spent = (billable > used).then(|| EndReason::BudgetSpent.code().to_owned());
    let reasons: Vec<String> = [lost, spent].into_iter().flatten().collect();
    let reason = (!reasons.is_empty()).then(|| reasons.join("+"));
    costs::of_session(tx, &session, sandbox, s.at).await?;
    book(tx, &session, (sandbox, used), reason, s.at).await
}

/// Losses of the session's learner that are not billed and still count at `at`. Waits for whoever settles another of the same learner, so
/// that of two ends at once one sees the other.
async fn first_losses(tx: &mut Tx, session: &Session, at: Timestamp) -> Result<i64, Failure> {
    let dialect = tx.dialect;
    dialect.lock_losses(tx.conn(), &session.subject).await?;
    // by the learner's sessions, which an index knows, and each one's one row
    let counted = sqlx::query(
        "SELECT COUNT(*) AS n FROM session s JOIN usage u ON u.session = s.id
         WHERE s.subject = $1 AND u.settled_at > $2 AND u.unbilled_reason LIKE '%+' || $3",
    )
    .bind(session.subject.as_str())
    .bind(at.minus(LOSSES_WITHIN).0)
    .bind(FIRST_LOSS)
    .fetch_one(tx.conn())
    .await?;
    row::int(&counted, "n")
}

/// Gives a session's hold back and books a use of nothing: it never had a prompt.
pub(crate) async fn void(
    tx: &mut Tx,
    session: &Session,
    state: &SessionState,
    at: Timestamp,
) -> Result<UsageRow, Failure> {
    if let Some(row) = usage_of(tx.conn(), session.id).await? {
        return Ok(row);
    }
    let reason = state.reason().map(str::to_owned);
    empty_hold(tx, session, TxKind::Void, 0, reason.clone(), at).await?;
    book(tx, session, (0, 0), reason, at).await
}

/// Empties the hold: at most `want` seconds are used, the rest goes back to where it came from. The seconds used.
async fn empty_hold(
    tx: &mut Tx,
    session: &Session,
    kind: TxKind,
    want: i64,
    reason: Option<String>,
    at: Timestamp,
) -> Result<i64, Failure> {
    let pieces = ledger::pieces(tx.conn(), session.id).await?;
    let held = ledger::balance(tx.conn(), &Account::Hold(session.id)).await?;
    let (used, back) = split_hold(&pieces, want);
    if held == 0 {
        return Ok(0);
    }
    let mut entries = vec![(Account::Hold(session.id), -held)];
    if used > 0 {
        entries.push((Account::Used(session.course.clone()), used));
    }
    entries.extend(homewards(tx, back, at).await?);
    let key = format!("{}/{}", kind.name(), session.id);
    let closing = Transaction {
        kind,
        key,
        session: Some(session.id),
        reason,
        occurred_at: at,
        entries,
    };
    ledger::post(tx, &closing).await?;
    Ok(used)
}

/// Entries of seconds that come back, by account: each at most once.
async fn homewards(tx: &mut Tx, mut back: Vec<(GrantId, i64)>, at: Timestamp) -> Result<Vec<(Account, i64)>, Failure> {
    let mut entries: Vec<(Account, i64)> = Vec::new();
    // by id, as everybody who locks several
    back.sort_unstable();
    for (grant, secs) in back {
        let account = entitlement::home(tx, grant, at).await?;
        match entries.iter_mut().find(|(a, _)| *a == account) {
            Some((_, s)) => *s += secs,
            None => entries.push((account, secs)),
        }
    }
    Ok(entries)
}

/// See [`lab_core::port::Store::refund`].
pub(crate) async fn refund(tx: &mut Tx, r: &Refund) -> Result<i64, Failure> {
    let session = provisioning::lock(tx, r.session).await?;
    let refused = |detail: String| Failure::conflict("refund", r.session, detail);
    let Some(usage) = usage_of(tx.conn(), r.session).await? else {
        return Err(refused("its use is not settled yet".into()));
    };
    let key = format!("refund/{}/{}", r.session, r.reason);
    if let Some(known) = ledger::find(tx.conn(), &key).await? {
        let usable = |(account, secs): &(Account, i64)| matches!(account, Account::Grant(_)).then_some(*secs);
        let taken: i64 = known.entries.iter().map(|(_, secs)| (*secs).max(0)).sum();
        return if taken == r.seconds {
            Ok(known.entries.iter().filter_map(usable).sum())
        } else {
            Err(refused(format!("{taken} seconds went back for this reason already")))
        };
    }
    let drawn = ledger::pieces(tx.conn(), r.session).await?;
    let paid = paid_pieces(&drawn, usage.billed_seconds);
    let Some(back) = refund_pieces(&paid, usage.refunded_seconds, r.seconds) else {
        let left = usage.billed_seconds - usage.refunded_seconds;
        return Err(refused(format!(
            "{} seconds of {left} that are left to give back",
            r.seconds
        )));
    };
    let mut entries = vec![(Account::Used(session.course.clone()), -r.seconds)];
    entries.extend(homewards(tx, back, r.at).await?);
    let usable = entries
        .iter()
        .filter(|(a, _)| matches!(a, Account::Grant(_)))
        .map(|(_, s)| s)
        .sum();
    let reversal = Transaction {
        kind: TxKind::Refund,
        key,
        session: Some(r.session),
        reason: Some(r.reason.clone()),
        occurred_at: r.at,
        entries,
    };
    ledger::post(tx, &reversal).await?;
    Ok(usable)
}

/// Writes the usage row, once.
async fn book(
    tx: &mut Tx,
    session: &Session,
    (sandbox, billed): (i64, i64),
    reason: Option<String>,
    at: Timestamp,
) -> Result<UsageRow, Failure> {
    sqlx::query(
        "INSERT INTO usage (session, sandbox_seconds, billed_seconds, unbilled_seconds, unbilled_reason, settled_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(session.id.to_string())
    .bind(sandbox)
    .bind(billed)
    .bind(sandbox - billed)
    .bind(reason)
    .bind(at.0)
    .execute(tx.conn())
    .await?;
    usage_of(tx.conn(), session.id)
        .await?
        .ok_or_else(|| Failure::missing("usage", session.id))
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT u.*, s.subject, s.course, s.lab, s.requested_at,
                 (SELECT c.micro_eur FROM cost c WHERE c.session = u.session) AS cost_micro_eur,
                 (SELECT CAST(COALESCE(-SUM(e.seconds), 0) AS BIGINT) FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id
                  WHERE t.session = u.session AND t.kind = 'refund' AND e.account LIKE 'used:%') AS refunded_seconds
             FROM usage u JOIN session s ON s.id = u.session ",
            $tail
        )
    };
}

async fn usage_of(conn: &mut AnyConnection, session: SessionId) -> Result<Option<UsageRow>, Failure> {
    let found = sqlx::query(select!("WHERE u.session = $1"))
        .bind(session.to_string())
        .fetch_optional(conn)
        .await?;
    found.map(|r| read(&r)).transpose()
}

pub(crate) async fn usage_list(
    conn: &mut AnyConnection,
    course: Option<&CourseId>,
    subject: Option<&Subject>,
    lab: Option<&LabId>,
) -> Result<Vec<UsageRow>, Failure> {
    let rows = sqlx::query(select!(
        "WHERE (CAST($1 AS TEXT) IS NULL OR s.course = $1) AND (CAST($2 AS TEXT) IS NULL OR s.subject = $2)
           AND (CAST($3 AS TEXT) IS NULL OR s.lab = $3)
         ORDER BY s.requested_at, s.id"
    ))
    .bind(course.map(ToString::to_string))
    .bind(subject.map(ToString::to_string))
    .bind(lab.map(ToString::to_string))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

pub(crate) fn read(r: &AnyRow) -> Result<UsageRow, Failure> {
    Ok(UsageRow {
        session: row::id(r, "session")?,
        subject: row::text(r, "subject")?.into(),
        course: row::text(r, "course")?.into(),
        lab: row::text(r, "lab")?.into(),
        requested_at: row::time(r, "requested_at")?,
        sandbox_seconds: row::int(r, "sandbox_seconds")?,
        billed_seconds: row::int(r, "billed_seconds")?,
        refunded_seconds: row::int(r, "refunded_seconds")?,
        unbilled_seconds: row::int(r, "unbilled_seconds")?,
        unbilled_reason: row::text_opt(r, "unbilled_reason")?,
        cost_micro_eur: row::int_opt(r, "cost_micro_eur")?,
    })
}
