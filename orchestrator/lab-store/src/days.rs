//! Stage 2, entitlement: what a learner used of a day, for plans that cap it.

use crate::{error::Failure, row};
use lab_core::{
    CourseId, PlanId, SessionId, Subject, Timestamp,
    entitlement::{Day, DayUse, TimedUse},
    port::Session,
};
use sqlx::AnyConnection;
use std::collections::HashMap;

/// A learner's day under a plan.
pub(crate) struct Days {
    pub sum: DayUse,
    /// Of the course.
    pub zone: Option<String>,
    uses: HashMap<SessionId, TimedUse>,
}

/// Whose.
type Of<'a> = (&'a Subject, &'a CourseId, &'a PlanId);

/// Seconds that its plan's daily cap leaves to a session's hold. Without a cap no day is added up.
pub(crate) async fn left_of(conn: &mut AnyConnection, session: &Session, at: Timestamp) -> Result<i64, Failure> {
    let Some(cap) = cap(conn, &session.plan).await? else {
        return Ok(i64::MAX);
    };
    let days = of(conn, (&session.subject, &session.course, &session.plan), at).await?;
    // what is added is used after what it holds already
    let from = days.uses.get(&session.id).map_or(at, |used| used.spent_at(at));
    Ok(days.sum.left(Some(cap), from))
}

/// What a learner's sessions of a course use of today under a plan.
pub(crate) async fn of(conn: &mut AnyConnection, of: Of<'_>, at: Timestamp) -> Result<Days, Failure> {
    let zone = zone(conn, of.1).await?;
    let uses = uses(conn, of, Day::of(at, zone.as_deref()).from).await?;
    Ok(Days {
        sum: DayUse::of(uses.values(), zone.as_deref(), at),
        zone,
        uses,
    })
}

async fn cap(conn: &mut AnyConnection, plan: &PlanId) -> Result<Option<i64>, Failure> {
    let r = sqlx::query("SELECT daily_secs_max FROM plan WHERE id = $1")
        .bind(plan.as_str())
        .fetch_one(conn)
        .await?;
    row::int_opt(&r, "daily_secs_max")
}

async fn zone(conn: &mut AnyConnection, course: &CourseId) -> Result<Option<String>, Failure> {
    let found = sqlx::query("SELECT zone FROM course_run WHERE course = $1")
        .bind(course.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(found.map(|r| row::text_opt(&r, "zone")).transpose()?.flatten())
}

/// Sessions that may have used something since `from`: those that were not over by then.
macro_rules! recent {
    () => {
        "s.subject = $1 AND s.course = $2 AND s.plan = $3 AND s.state <> 'failed' AND (s.over_at IS NULL OR s.over_at > $4)"
    };
}

async fn uses(
    conn: &mut AnyConnection,
    (subject, course, plan): Of<'_>,
    from: Timestamp,
) -> Result<HashMap<SessionId, TimedUse>, Failure> {
    let sessions = sqlx::query(concat!(
        "SELECT s.id, s.state, u.billed_seconds,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_entry e WHERE e.account = 'hold:' || s.id) AS held
         FROM session s LEFT JOIN usage u ON u.session = s.id WHERE ",
        recent!()
    ))
    .bind(subject.as_str())
    .bind(course.as_str())
    .bind(plan.as_str())
    .bind(from.0)
    .fetch_all(&mut *conn)
    .await?;
    let states = sqlx::query(concat!(
        "SELECT t.session, t.state, t.occurred_at FROM session_transition t JOIN session s ON s.id = t.session WHERE ",
        recent!(),
        " ORDER BY t.session, t.revision"
    ))
    .bind(subject.as_str())
    .bind(course.as_str())
    .bind(plan.as_str())
    .bind(from.0)
    .fetch_all(conn)
    .await?;
    let mut histories: HashMap<SessionId, Vec<(bool, Timestamp)>> = HashMap::new();
    for r in &states {
        let state = (row::text(r, "state")? == "ready", row::time(r, "occurred_at")?);
        histories.entry(row::id(r, "session")?).or_default().push(state);
    }
    sessions
        .iter()
        .map(|r| {
            let id = row::id(r, "id")?;
            let used = TimedUse {
                ran: TimedUse::runs(histories.remove(&id).unwrap_or_default()),
                billed: row::int_opt(r, "billed_seconds")?,
                held: row::int(r, "held")?,
                goes_on: !matches!(row::text(r, "state")?.as_str(), "stopping" | "ended"),
            };
            Ok((id, used))
        })
        .collect()
}
