//! Outcomes of checks.

use crate::{db::Tx, error::Failure, grades, row};
use lab_core::{
    CourseId, LabId, PlanId, SessionId, Subject, Timestamp, entitlement::is_test_run_plan, journal::CheckOutcome,
};
use sqlx::AnyConnection;

/// An outcome that is older than the one kept changes the best at most. What the learner's runs are worth then is offered to the outbox.
pub(crate) async fn record(
    tx: &mut Tx,
    (session, outcome, at): &(SessionId, CheckOutcome, Timestamp),
) -> Result<(), Failure> {
    let of = sqlx::query("SELECT subject, course, lab, plan FROM session WHERE id = $1")
        .bind(session.to_string())
        .fetch_optional(tx.conn())
        .await?;
    let of = of.ok_or_else(|| Failure::missing("session", session))?;
    let (subject, course) = (Subject(row::text(&of, "subject")?), CourseId(row::text(&of, "course")?));
    let lab = LabId(row::text(&of, "lab")?);
    tx.dialect.lock_learner(tx.conn(), &subject).await?;
    let kept = sqlx::query(
        "INSERT INTO check_outcome (session, check_id, passed, points, detail, checked_at, best_points, first_passed_at)
         SELECT id, $2, $3, $4, $5, $6, $4, CASE WHEN $3 = 1 THEN $6 END FROM session WHERE id = $1 AND erased_at IS NULL
         ON CONFLICT (session, check_id) DO UPDATE SET
             passed = CASE WHEN excluded.checked_at >= check_outcome.checked_at
                 THEN excluded.passed ELSE check_outcome.passed END,
             points = CASE WHEN excluded.checked_at >= check_outcome.checked_at
                 THEN excluded.points ELSE check_outcome.points END,
             detail = CASE WHEN excluded.checked_at >= check_outcome.checked_at
                 THEN excluded.detail ELSE check_outcome.detail END,
             checked_at = CASE WHEN excluded.checked_at >= check_outcome.checked_at
                 THEN excluded.checked_at ELSE check_outcome.checked_at END,
             best_points = CASE WHEN excluded.best_points > check_outcome.best_points
                 THEN excluded.best_points ELSE check_outcome.best_points END,
             first_passed_at = CASE WHEN check_outcome.first_passed_at IS NULL
                     OR excluded.first_passed_at < check_outcome.first_passed_at
                 THEN excluded.first_passed_at ELSE check_outcome.first_passed_at END",
    )
    .bind(session.to_string())
    .bind(outcome.check.as_str())
    .bind(i64::from(outcome.passed))
    .bind(i64::from(outcome.points))
    .bind(outcome.detail.as_str())
    .bind(at.0)
    .execute(tx.conn())
    .await?;
    if kept.rows_affected() == 0 {
        return Err(Failure::missing("session", session));
    }
    // nobody's grade
    if is_test_run_plan(&PlanId(row::text(&of, "plan")?)) {
        return Ok(());
    }
    grades::offer(tx, &subject, &course, &lab, *at).await
}

/// The last outcome of each check, by the check's name.
pub(crate) async fn list(conn: &mut AnyConnection, session: SessionId) -> Result<Vec<CheckOutcome>, Failure> {
    let rows = sqlx::query("SELECT * FROM check_outcome WHERE session = $1").bind(session.to_string());
    let read = |r| {
        Ok(CheckOutcome {
            check: row::text(r, "check_id")?.into(),
            passed: row::int(r, "passed")? == 1,
            points: row::small(r, "points")?,
            detail: row::text(r, "detail")?,
        })
    };
    let mut all = rows
        .fetch_all(conn)
        .await?
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.check.cmp(&b.check));
    Ok(all)
}
