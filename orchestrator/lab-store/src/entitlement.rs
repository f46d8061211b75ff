//! Stage 2, entitlement: grants, and admission in one transaction.

use crate::{
    costs, courses, days, db::Tx, error::Failure, ledger, operations, plans, pool, privacy, provisioning, row,
};
use lab_core::{
    CourseId, GrantId, PlanId, SandboxId, SessionId, SiteId, SponsorId, Subject, Timestamp,
    entitlement::{
        Grant, GrantBalance, Refusal, TEST_RUN_PLAN, TEST_RUN_WITHIN, TimeLeft, draw, source, test_run_refusal,
    },
    metering::{Account, Transaction, TxKind},
    operations::LaunchPause,
    port::{Admission, AdmitRequest, Session},
};
use sqlx::{AnyConnection, any::AnyRow};

/// Largest grant: a century of seconds. Far from where sums of grants could overflow 64 bits.
const GRANT_SECS_MAX: i64 = 100 * 366 * 86_400;

/// The grant's row and its issue. A grant is what its id says: a retry may come with another time, not with another
/// owner or amount.
pub(crate) async fn grant_issue(tx: &mut Tx, grant: &Grant) -> Result<(), Failure> {
    if !(0..=GRANT_SECS_MAX).contains(&grant.seconds) {
        let detail = format!("{} seconds; a grant gives 0 to {GRANT_SECS_MAX}", grant.seconds);
        return Err(Failure::conflict("grant", grant.id, detail));
    }
    plans::must_exist(tx, &grant.plan).await?;
    let new = sqlx::query(
        "INSERT INTO lab_grant
             (id, subject, course, plan, seconds, priority, effective_at, expires_at, created_at, source, sponsor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
    )
    .bind(grant.id.to_string())
    .bind(grant.subject.as_str())
    .bind(grant.course.as_str())
    .bind(grant.plan.as_str())
    .bind(grant.seconds)
    .bind(i64::from(grant.priority))
    .bind(grant.effective_at.0)
    .bind(grant.expires_at.0)
    .bind(grant.created_at.0)
    .bind(grant.source.as_str())
    .bind(grant.sponsor.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    if !new {
        let stored = grant_get(tx.conn(), grant.id).await?;
        let same = (&stored.subject, &stored.course, &stored.plan, stored.seconds)
            == (&grant.subject, &grant.course, &grant.plan, grant.seconds);
        return if same {
            Ok(())
        } else {
            Err(Failure::conflict(
                "grant",
                grant.id,
                "the same id with another subject, course, plan or amount",
            ))
        };
    }
    let issue = Transaction {
        kind: TxKind::Issue,
        key: format!("issue/{}", grant.id),
        session: None,
        reason: Some(grant.source.clone()),
        occurred_at: grant.created_at,
        entries: vec![
            (origin(&grant.source), -grant.seconds),
            (Account::Grant(grant.id), grant.seconds),
        ],
    };
    // a plan without lab time (DISCOVERY) gives a right, and no seconds to account for
    if grant.seconds > 0 {
        ledger::post(tx, &issue).await
    } else {
        Ok(())
    }
}

/// Says where a grant's learner is.
pub(crate) async fn grant_at(tx: &mut Tx, id: GrantId, site: Option<&SiteId>) -> Result<(), Failure> {
    if let Some(site) = site {
        sqlx::query("UPDATE lab_grant SET site = $2 WHERE id = $1 AND site IS NULL")
            .bind(id.to_string())
            .bind(site.as_str())
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Where a grant's seconds come from, and go back to when it is taken back.
fn origin(of: &str) -> Account {
    if of == source::GOODWILL {
        Account::Goodwill
    } else {
        Account::Extern
    }
}

/// See [`lab_core::port::Store::grant_void`].
pub(crate) async fn grant_void(tx: &mut Tx, (id, reason, at): &(GrantId, String, Timestamp)) -> Result<i64, Failure> {
    let dialect = tx.dialect;
    dialect.lock_grant(tx.conn(), *id).await?;
    let grant = grant_get(tx.conn(), *id).await?;
    let voided = sqlx::query(
        "UPDATE lab_grant SET voided_at = $2, voided_reason = $3, swept_at = COALESCE(swept_at, $2)
         WHERE id = $1 AND voided_at IS NULL",
    )
    .bind(id.to_string())
    .bind(at.0)
    .bind(reason.as_str())
    .execute(tx.conn())
    .await?;
    if voided.rows_affected() == 0 {
        return Ok(0);
    }
    let key = format!("revoke/{id}");
    take_off(tx, *id, origin(&grant.source), key, Some(reason.clone()), *at).await
}

/// Grants whose rest is taken off in one transaction: 200 of about a millisecond each.
const EXPIRE_BATCH: i64 = 200;

/// See [`lab_core::port::Store::grants_expire`].
pub(crate) async fn grants_expire(tx: &mut Tx, at: &Timestamp) -> Result<i64, Failure> {
    let ended = sqlx::query(
        "SELECT id FROM lab_grant WHERE swept_at IS NULL AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2",
    )
    .bind(at.0)
    .bind(EXPIRE_BATCH)
    .fetch_all(tx.conn())
    .await?;
    // by id, as everybody who locks several
    let mut ids = ended
        .iter()
        .map(|r| row::id::<GrantId>(r, "id"))
        .collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    let mut moved = 0;
    for id in ids {
        let dialect = tx.dialect;
        dialect.lock_grant(tx.conn(), id).await?;
        let swept = sqlx::query("UPDATE lab_grant SET swept_at = $2 WHERE id = $1 AND swept_at IS NULL")
            .bind(id.to_string())
            .bind(at.0)
            .execute(tx.conn())
            .await?;
        if swept.rows_affected() == 1 {
            moved += take_off(tx, id, Account::Breakage, format!("expire/{id}"), None, *at).await?;
        }
    }
    Ok(moved)
}

/// See [`lab_core::port::MoneyStore::grants_attest`]. What has ended stays ended, also when nobody has swept it yet.
pub(crate) async fn attest(
    tx: &mut Tx,
    (sponsor, learners, until, at): &(SponsorId, Vec<Subject>, Timestamp, Timestamp),
) -> Result<Vec<Subject>, Failure> {
    let mut known = Vec::new();
    for learner in learners {
        let done = sqlx::query(
            "UPDATE lab_grant SET expires_at = CASE WHEN expires_at < $3 THEN $3 ELSE expires_at END
             WHERE sponsor = $1 AND subject = $2 AND voided_at IS NULL AND swept_at IS NULL AND expires_at > $4",
        )
        .bind(sponsor.as_str())
        .bind(learner.as_str())
        .bind(until.0)
        .bind(at.0)
        .execute(tx.conn())
        .await?;
        if done.rows_affected() > 0 {
            known.push(learner.clone());
        }
    }
    Ok(known)
}

/// Moves what is left on a grant elsewhere; the seconds. The grant is locked.
async fn take_off(
    tx: &mut Tx,
    id: GrantId,
    to: Account,
    key: String,
    reason: Option<String>,
    at: Timestamp,
) -> Result<i64, Failure> {
    let left = ledger::balance(tx.conn(), &Account::Grant(id)).await?;
    if left > 0 {
        let rest = Transaction {
            kind: TxKind::Void,
            key,
            session: None,
            reason,
            occurred_at: at,
            entries: vec![(Account::Grant(id), -left), (to, left)],
        };
        ledger::post(tx, &rest).await?;
    }
    Ok(left)
}

/// Where seconds that come back to a grant go: to it, unless it has ended. Locks it, so that it does not end meanwhile.
pub(crate) async fn home(tx: &mut Tx, id: GrantId, at: Timestamp) -> Result<Account, Failure> {
    let dialect = tx.dialect;
    dialect.lock_grant(tx.conn(), id).await?;
    let r = sqlx::query("SELECT source, voided_at, swept_at, expires_at FROM lab_grant WHERE id = $1")
        .bind(id.to_string())
        .fetch_one(tx.conn())
        .await?;
    let ended = row::time_opt(&r, "swept_at")?.is_some() || row::time(&r, "expires_at")? <= at;
    Ok(if row::time_opt(&r, "voided_at")?.is_some() {
        origin(&row::text(&r, "source")?)
    } else if ended {
        Account::Breakage
    } else {
        Account::Grant(id)
    })
}

pub(crate) async fn grant_get(conn: &mut AnyConnection, id: GrantId) -> Result<Grant, Failure> {
    let found = sqlx::query("SELECT * FROM lab_grant WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    read_grant(&found.ok_or_else(|| Failure::missing("grant", id))?)
}

pub(crate) async fn grant_list(
    conn: &mut AnyConnection,
    subject: &Subject,
    course: Option<&CourseId>,
) -> Result<Vec<GrantBalance>, Failure> {
    Ok(terms(conn, subject, course)
        .await?
        .into_iter()
        .map(|t| t.balance)
        .collect())
}

/// A grant with its balance and what its plan allows.
pub(crate) struct Terms {
    pub balance: GrantBalance,
    pub labs: bool,
    pub concurrency_max: u32,
    pub daily_secs_max: Option<i64>,
    pub minimum_secs: i64,
}

impl Terms {
    fn is_valid(&self, at: Timestamp) -> bool {
        self.balance.is_valid(at)
    }
}

/// A learner's grants in burn order.
async fn terms(conn: &mut AnyConnection, subject: &Subject, course: Option<&CourseId>) -> Result<Vec<Terms>, Failure> {
    let rows = sqlx::query(
        "SELECT g.*, p.labs, p.concurrency_max, p.daily_secs_max, p.minimum_secs,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_entry e
              WHERE e.account = 'grant:' || g.id) AS available
         FROM lab_grant g JOIN plan p ON p.id = g.plan
         WHERE g.subject = $1 AND (CAST($2 AS TEXT) IS NULL OR g.course = $2)
         ORDER BY g.priority, g.expires_at, g.created_at, g.id",
    )
    .bind(subject.as_str())
    .bind(course.map(ToString::to_string))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|r| {
            Ok(Terms {
                balance: GrantBalance {
                    grant: read_grant(r)?,
                    available: row::int(r, "available")?,
                    voided_at: row::time_opt(r, "voided_at")?,
                },
                labs: row::int(r, "labs")? == 1,
                concurrency_max: row::small(r, "concurrency_max")?,
                daily_secs_max: row::int_opt(r, "daily_secs_max")?,
                minimum_secs: row::int(r, "minimum_secs")?,
            })
        })
        .collect()
}

pub(crate) fn read_grant(r: &AnyRow) -> Result<Grant, Failure> {
    Ok(Grant {
        id: row::id(r, "id")?,
        subject: row::text(r, "subject")?.into(),
        course: row::text(r, "course")?.into(),
        plan: row::text(r, "plan")?.into(),
        seconds: row::int(r, "seconds")?,
        priority: row::small(r, "priority")?,
        effective_at: row::time(r, "effective_at")?,
        expires_at: row::time(r, "expires_at")?,
        created_at: row::time(r, "created_at")?,
        source: row::text(r, "source")?,
        sponsor: row::text_opt(r, "sponsor")?.map(Into::into),
    })
}

/// Locks a learner's grants and reads those that lab time can be drawn from now.
async fn spendable(
    tx: &mut Tx,
    subject: &Subject,
    course: &CourseId,
    at: Timestamp,
) -> Result<Result<Vec<Terms>, Option<PlanId>>, Failure> {
    let dialect = tx.dialect;
    dialect.lock_grants(tx.conn(), subject, course).await?;
    let all = terms(tx.conn(), subject, Some(course)).await?;
    // the plan to name when there is none: one that is valid now, else any
    let named = all
        .iter()
        .find(|t| t.is_valid(at))
        .or(all.first())
        .map(|t| t.balance.grant.plan.clone());
    let valid: Vec<Terms> = all.into_iter().filter(|t| t.labs && t.is_valid(at)).collect();
    Ok(if valid.is_empty() { Err(named) } else { Ok(valid) })
}

/// Draws up to `want` seconds from a learner's grants into a session's hold, within its plan's daily cap; the seconds drawn. The session
/// is locked.
pub(crate) async fn reserve(tx: &mut Tx, session: &Session, want: i64, at: Timestamp) -> Result<i64, Failure> {
    match spendable(tx, &session.subject, &session.course, at).await? {
        Ok(terms) => {
            let most = days::left_of(tx.conn(), session, at).await?;
            hold(tx, session.id, terms, want.min(most), at).await
        }
        Err(_) => Ok(0),
    }
}

/// See [`lab_core::port::Store::time_left`].
pub(crate) async fn time_left(conn: &mut AnyConnection, id: SessionId, at: Timestamp) -> Result<TimeLeft, Failure> {
    let session = provisioning::get(conn, id).await?;
    let session = session.ok_or_else(|| Failure::missing("session", id))?;
    if session.is_test_run() {
        return Ok(TimeLeft::of_test_run());
    }
    let terms = terms(conn, &session.subject, Some(&session.course)).await?;
    let valid: Vec<&Terms> = terms.iter().filter(|t| t.labs && t.is_valid(at)).collect();
    let unspent: i64 = valid.iter().map(|t| t.balance.available.max(0)).sum();
    let most = days::left_of(conn, &session, at).await?;
    let available = unspent.min(most);
    Ok(TimeLeft {
        available,
        granted: valid.iter().map(|t| t.balance.grant.seconds).sum(),
        unspent,
    })
}

async fn hold(tx: &mut Tx, session: SessionId, terms: Vec<Terms>, want: i64, at: Timestamp) -> Result<i64, Failure> {
    let mut balances: Vec<GrantBalance> = terms.into_iter().map(|t| t.balance).collect();
    let pieces = draw(&mut balances, want, at);
    let total: i64 = pieces.iter().map(|(_, secs)| secs).sum();
    if total <= 0 {
        return Ok(0);
    }
    let mut entries: Vec<_> = pieces
        .into_iter()
        .map(|(grant, secs)| (Account::Grant(grant), -secs))
        .collect();
    entries.push((Account::Hold(session), total));
    let number = ledger::reserves(tx.conn(), session).await?;
    let reserve = Transaction {
        kind: TxKind::Reserve,
        key: format!("reserve/{session}/{number}"),
        session: Some(session),
        reason: None,
        occurred_at: at,
        entries,
    };
    ledger::post(tx, &reserve).await?;
    Ok(total)
}

/// See [`lab_core::port::Store::admit`]. The grants' lock comes first, so that two clicks of one learner are one after the
/// other and the second sees the first's session. A session that is stopping takes no one back and does not count.
pub(crate) async fn admit(tx: &mut Tx, r: &AdmitRequest) -> Result<Admission, Failure> {
    if r.test_run {
        return admit_test_run(tx, r).await;
    }
    let spendable = spendable(tx, &r.subject, &r.course, r.at).await?;
    let running = provisioning::running(tx.conn(), &r.subject, &r.course).await?;
    if let Some(same) = running.iter().find(|s| s.lab == r.lab) {
        return Ok(Admission::Running(same.clone()));
    }
    // before plans: whose course is over has often no time left either, and the reason is the course
    if let Some(refusal) = courses::refusal(tx.conn(), &r.course, &r.subject, r.at).await? {
        return Ok(Admission::Refused(refusal));
    }
    let terms = match spendable {
        Ok(terms) => terms,
        Err(plan) => return Ok(Admission::Refused(Refusal::NoLabs { plan })),
    };
    // after what runs already, which goes on, and after what this learner could not start anyway
    if let Some(pause) = operations::paused(tx.conn()).await? {
        let LaunchPause { reason, until, .. } = pause;
        return Ok(Admission::Refused(Refusal::Paused { reason, until }));
    }
    // the grant that pays first decides the plan; with nothing left on any, the one that would
    let payer = terms.iter().find(|t| t.balance.available > 0).unwrap_or(&terms[0]);
    let (plan, max) = (payer.balance.grant.plan.clone(), payer.concurrency_max);
    if running.len() >= max as usize {
        let running = running.iter().map(|s| s.id).collect();
        return Ok(Admission::Refused(Refusal::Concurrency { max, running }));
    }
    let (minimum, cap) = (r.minimum_secs.max(payer.minimum_secs), payer.daily_secs_max);
    let available: i64 = terms.iter().map(|t| t.balance.available).sum();
    if available < minimum {
        return Ok(Admission::Refused(Refusal::NoTime { available }));
    }
    let most = match cap {
        Some(cap) => {
            let days = days::of(tx.conn(), (&r.subject, &r.course, &plan), r.at).await?;
            let left = days.sum.left(Some(cap), r.at);
            if left < minimum {
                let (again_at, zone) = (days.sum.today.until, days.zone);
                return Ok(Admission::Refused(Refusal::DailyCap { cap, again_at, zone }));
            }
            left
        }
        None => i64::MAX,
    };
    if let Some(version) = &r.notice
        && !privacy::told(tx, &r.subject, version).await?
    {
        let version = version.clone();
        return Ok(Admission::Refused(Refusal::Notice { version }));
    }
    // last of all that may refuse: a sandbox that is claimed is used
    let warm = pool::claim(tx, &r.digest, r.at).await?;
    let (id, sandbox) = warm.unwrap_or((r.session, SandboxId(r.session.0)));
    provisioning::insert(tx, r, &plan, (id, sandbox, warm.is_some())).await?;
    costs::freeze(tx, id, &r.digest).await?;
    hold(tx, id, terms, r.hold_secs.max(minimum).min(most), r.at).await?;
    if warm.is_some() {
        return provisioning::begin(tx, id, r.at).await.map(Admission::Admitted);
    }
    let session = provisioning::get(tx.conn(), id).await?;
    session
        .map(Admission::Admitted)
        .ok_or_else(|| Failure::missing("session", id))
}

/// The same of a test run. Courses and grants have no say, and no warm sandbox is claimed: those are kept for learners.
async fn admit_test_run(tx: &mut Tx, r: &AdmitRequest) -> Result<Admission, Failure> {
    let dialect = tx.dialect;
    dialect.lock_test_runs(tx.conn()).await?;
    let running = provisioning::running(tx.conn(), &r.subject, &r.course).await?;
    if let Some(same) = running.iter().find(|s| s.lab == r.lab) {
        return Ok(Admission::Running(same.clone()));
    }
    if let Some(LaunchPause { reason, until, .. }) = operations::paused(tx.conn()).await? {
        return Ok(Admission::Refused(Refusal::Paused { reason, until }));
    }
    let running: Vec<SessionId> = running.iter().map(|s| s.id).collect();
    let begun = test_runs(tx.conn(), &r.subject, r.at).await?;
    if let Some(refusal) = test_run_refusal(&running, &begun, r.at) {
        return Ok(Admission::Refused(refusal));
    }
    if let Some(version) = &r.notice
        && !privacy::told(tx, &r.subject, version).await?
    {
        let version = version.clone();
        return Ok(Admission::Refused(Refusal::Notice { version }));
    }
    let plan = PlanId(TEST_RUN_PLAN.into());
    provisioning::insert(tx, r, &plan, (r.session, SandboxId(r.session.0), false)).await?;
    costs::freeze(tx, r.session, &r.digest).await?;
    let session = provisioning::get(tx.conn(), r.session).await?;
    session
        .map(Admission::Admitted)
        .ok_or_else(|| Failure::missing("session", r.session))
}

/// From when to when a person's test runs of the last day were.
async fn test_runs(
    conn: &mut AnyConnection,
    subject: &Subject,
    at: Timestamp,
) -> Result<Vec<(Timestamp, Option<Timestamp>)>, Failure> {
    let rows =
        sqlx::query("SELECT requested_at, over_at FROM session WHERE subject = $1 AND plan = $2 AND requested_at > $3")
            .bind(subject.as_str())
            .bind(TEST_RUN_PLAN)
            .bind(at.minus(TEST_RUN_WITHIN).0)
            .fetch_all(conn)
            .await?;
    rows.iter()
        .map(|r| Ok((row::time(r, "requested_at")?, row::time_opt(r, "over_at")?)))
        .collect()
}
