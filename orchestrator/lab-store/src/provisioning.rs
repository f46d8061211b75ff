//! Stage 3, provisioning: sessions and their transitions.

use crate::{db::Tx, error::Failure, metering, row};
use lab_core::{
    CourseId, PlanId, SandboxId, SessionId, Subject, Timestamp,
    entitlement::TEST_RUN_PLAN,
    port::{AdmitRequest, Session, SessionFilter, Transition, TransitionRow},
    provisioning::{EndReason, FailReason, SessionEvent, SessionState},
};
use sqlx::{AnyConnection, any::AnyRow};

/// Rows of a list that does not say how many it wants.
const LIST_MAX: u32 = 1000;

/// A session with what the ledger says of it.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT s.*, u.billed_seconds,
                 (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_entry e
                  WHERE e.account = 'hold:' || s.id) AS held_secs
             FROM session s LEFT JOIN usage u ON u.session = s.id ",
            $tail
        )
    };
}

pub(crate) async fn get(conn: &mut AnyConnection, id: SessionId) -> Result<Option<Session>, Failure> {
    let found = sqlx::query(select!("WHERE s.id = $1"))
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    found.map(|r| read(&r)).transpose()
}

/// Locks a session and reads it.
pub(crate) async fn lock(tx: &mut Tx, id: SessionId) -> Result<Session, Failure> {
    let dialect = tx.dialect;
    dialect.lock_session(tx.conn(), id).await?;
    get(tx.conn(), id).await?.ok_or_else(|| Failure::missing("session", id))
}

pub(crate) async fn list(conn: &mut AnyConnection, filter: &SessionFilter) -> Result<Vec<Session>, Failure> {
    let limit = if filter.limit == 0 { LIST_MAX } else { filter.limit };
    let rows = sqlx::query(select!(
        "WHERE (CAST($1 AS TEXT) IS NULL OR s.course = $1) AND (CAST($2 AS TEXT) IS NULL OR s.subject = $2)
           AND (CAST($3 AS TEXT) IS NULL OR s.lab = $3) AND ($4 = 0 OR s.over_at IS NULL)
         ORDER BY s.requested_at DESC, s.id DESC LIMIT $5"
    ))
    .bind(filter.course.as_ref().map(ToString::to_string))
    .bind(filter.subject.as_ref().map(ToString::to_string))
    .bind(filter.lab.as_ref().map(ToString::to_string))
    .bind(i64::from(filter.live))
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// A learner's sessions of a course that are neither over nor on their way there, oldest first.
pub(crate) async fn running(
    conn: &mut AnyConnection,
    subject: &Subject,
    course: &CourseId,
) -> Result<Vec<Session>, Failure> {
    let rows = sqlx::query(select!(
        "WHERE s.subject = $1 AND s.course = $2 AND s.state NOT IN ('stopping', 'ended', 'failed')
         ORDER BY s.requested_at, s.id"
    ))
    .bind(subject.as_str())
    .bind(course.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// Inserts a requested session and the first row of its history.
pub(crate) async fn insert(
    tx: &mut Tx,
    r: &AdmitRequest,
    plan: &PlanId,
    (id, sandbox, warm): (SessionId, SandboxId, bool),
) -> Result<(), Failure> {
    let lab = sqlx::query("SELECT lab FROM lab_version WHERE digest = $1").bind(r.digest.as_str());
    if lab.fetch_optional(tx.conn()).await?.is_none() {
        return Err(Failure::missing("lab version", &r.digest));
    }
    let done = sqlx::query(
        "INSERT INTO session
             (id, subject, name, course, lab, digest, plan, sandbox, state, revision, requested_at, active_at, warm)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $10, $11) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(r.subject.as_str())
    .bind(r.name.as_str())
    .bind(r.course.as_str())
    .bind(r.lab.as_str())
    .bind(r.digest.as_str())
    .bind(plan.as_str())
    .bind(sandbox.to_string())
    .bind(SessionState::Requested.name())
    .bind(r.at.0)
    .bind(i64::from(warm))
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::conflict("session", id, "the id is another session's"));
    }
    let cause = if r.test_run { TEST_RUN_PLAN } else { "learner" };
    remember(tx, id, 0, &SessionState::Requested, r.at, cause).await
}

/// Takes a session that was just inserted past the queue: its warm sandbox has its place already.
pub(crate) async fn begin(tx: &mut Tx, session: SessionId, at: Timestamp) -> Result<Session, Failure> {
    let provision = Transition {
        session,
        expect: 0,
        event: SessionEvent::Provision,
        at,
        cause: "pool".into(),
        ready: None,
    };
    transition(tx, &provision).await
}

/// See [`lab_core::port::Store::session_transition`].
pub(crate) async fn transition(tx: &mut Tx, t: &Transition) -> Result<Session, Failure> {
    let session = lock(tx, t.session).await?;
    if session.revision != t.expect {
        let detail = format!("it is at revision {}, not {}", session.revision, t.expect);
        return Err(Failure::conflict("session", t.session, detail));
    }
    let state = session.state.next(t.event.clone())?;
    let (ready_us, deadline) = match (&t.event, t.ready) {
        (SessionEvent::Ready, Some((us, deadline))) => (Some(row::count(us)), Some(deadline.0)),
        (SessionEvent::Ready, None) => {
            return Err(Failure::conflict(
                "session",
                t.session,
                "ready needs the first prompt's time and the deadline",
            ));
        }
        _ => (None, None),
    };
    let revision = session.revision + 1;
    // what it stood still is nobody's: neither its time nor its deadline runs on
    let frozen_us = session.frozen_until(t.at);
    let stood_us = frozen_us - session.frozen_us;
    sqlx::query(
        "UPDATE session SET state = $2, reason = $3, detail = $4, revision = $5,
             over_at = COALESCE(over_at, $6), ready_at = COALESCE(ready_at, $7), ready_us = COALESCE(ready_us, $8),
             deadline = COALESCE(deadline + $11, $9), active_at = CASE WHEN active_at < $10 THEN $10 ELSE active_at END,
             frozen_at = $12, frozen_us = $13
         WHERE id = $1",
    )
    .bind(t.session.to_string())
    .bind(state.name())
    .bind(state.reason())
    .bind(detail(&state))
    .bind(revision)
    .bind(state.is_over().then_some(t.at.0))
    .bind(ready_us.map(|_| t.at.0))
    .bind(ready_us)
    .bind(deadline)
    // idle time counts from when there was something to type at
    .bind(if state == SessionState::Ready { t.at.0 } else { i64::MIN })
    .bind(row::count(stood_us))
    .bind((state == SessionState::Frozen).then_some(t.at.0))
    .bind(row::count(frozen_us))
    .execute(tx.conn())
    .await?;
    remember(tx, t.session, revision, &state, t.at, &t.cause).await?;
    if state.is_over() && session.ready_at.is_none() {
        metering::void(tx, &session, &state, t.at).await?;
    }
    get(tx.conn(), t.session)
        .await?
        .ok_or_else(|| Failure::missing("session", t.session))
}

/// A row of the session's history.
async fn remember(
    tx: &mut Tx,
    session: SessionId,
    revision: i64,
    state: &SessionState,
    at: Timestamp,
    cause: &str,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO session_transition (session, revision, state, reason, detail, occurred_at, cause)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(session.to_string())
    .bind(revision)
    .bind(state.name())
    .bind(state.reason())
    .bind(detail(state))
    .bind(at.0)
    .bind(cause)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn history(conn: &mut AnyConnection, id: SessionId) -> Result<Vec<TransitionRow>, Failure> {
    let rows = sqlx::query("SELECT * FROM session_transition WHERE session = $1 ORDER BY revision")
        .bind(id.to_string())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|r| {
            Ok(TransitionRow {
                revision: row::int(r, "revision")?,
                state: read_state(r)?,
                at: row::time(r, "occurred_at")?,
                cause: row::text(r, "cause")?,
            })
        })
        .collect()
}

pub(crate) async fn touch(
    tx: &mut Tx,
    (id, active_at, seen_us): &(SessionId, Option<Timestamp>, Option<u64>),
) -> Result<(), Failure> {
    let done = sqlx::query(
        "UPDATE session SET
             active_at = CASE WHEN $2 > active_at THEN $2 ELSE active_at END,
             seen_us = CASE WHEN seen_us IS NULL OR $3 > seen_us THEN COALESCE($3, seen_us) ELSE seen_us END
         WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(active_at.map(|at| at.0))
    .bind(seen_us.map(row::count))
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::missing("session", id));
    }
    Ok(())
}

pub(crate) async fn deadline(tx: &mut Tx, (id, deadline): &(SessionId, Timestamp)) -> Result<Session, Failure> {
    sqlx::query("UPDATE session SET deadline = $2 WHERE id = $1 AND (deadline IS NULL OR deadline < $2)")
        .bind(id.to_string())
        .bind(deadline.0)
        .execute(tx.conn())
        .await?;
    get(tx.conn(), *id)
        .await?
        .ok_or_else(|| Failure::missing("session", id))
}

fn detail(state: &SessionState) -> Option<String> {
    match state {
        SessionState::Failed { detail, .. } => Some(detail.clone()),
        _ => None,
    }
}

fn read(r: &AnyRow) -> Result<Session, Failure> {
    Ok(Session {
        id: row::id(r, "id")?,
        subject: row::text(r, "subject")?.into(),
        name: row::text(r, "name")?,
        course: row::text(r, "course")?.into(),
        lab: row::text(r, "lab")?.into(),
        digest: row::text(r, "digest")?.into(),
        plan: row::text(r, "plan")?.into(),
        sandbox: row::id(r, "sandbox")?,
        warm: row::int(r, "warm")? == 1,
        state: read_state(r)?,
        revision: row::int(r, "revision")?,
        requested_at: row::time(r, "requested_at")?,
        ready_at: row::time_opt(r, "ready_at")?,
        over_at: row::time_opt(r, "over_at")?,
        ready_us: row::unsigned_opt(r, "ready_us")?,
        seen_us: row::unsigned_opt(r, "seen_us")?,
        active_at: row::time(r, "active_at")?,
        deadline: row::time_opt(r, "deadline")?,
        frozen_at: row::time_opt(r, "frozen_at")?,
        frozen_us: row::unsigned(r, "frozen_us")?,
        held_secs: row::int(r, "held_secs")?,
        billed_secs: row::int_opt(r, "billed_seconds")?,
    })
}

/// The columns `state`, `reason`, `detail`.
fn read_state(r: &AnyRow) -> Result<SessionState, Failure> {
    let (name, reason) = (row::text(r, "state")?, row::text_opt(r, "reason")?);
    let end = || reason.as_deref().and_then(EndReason::from_code);
    let state = match name.as_str() {
        "requested" => Some(SessionState::Requested),
        "queued" => Some(SessionState::Queued),
        "provisioning" => Some(SessionState::Provisioning),
        "ready" => Some(SessionState::Ready),
        "frozen" => Some(SessionState::Frozen),
        "stopping" => end().map(|reason| SessionState::Stopping { reason }),
        "ended" => end().map(|reason| SessionState::Ended { reason }),
        "failed" => {
            let detail = row::text_opt(r, "detail")?.unwrap_or_default();
            reason
                .as_deref()
                .and_then(FailReason::from_code)
                .map(|reason| SessionState::Failed { reason, detail })
        }
        _ => None,
    };
    state.ok_or_else(|| Failure::Unreadable(format!("session state {name:?} ({reason:?}) is unknown")))
}
