//! Who looked at a person's work. Three ways to be meant, each by its index: a session of theirs, they themselves, a wall they were on.

use crate::{error::Failure, launch, row};
use lab_core::{
    CourseId, Subject,
    privacy::{LOOKS_PAGE, Look, WALL_SPAN},
};
use sqlx::{AnyConnection, any::AnyRow};

pub(super) async fn list(
    conn: &mut AnyConnection,
    subject: &Subject,
    course: Option<&CourseId>,
    before: Option<i64>,
) -> Result<Vec<Look>, Failure> {
    let rows = sqlx::query(
        "SELECT id, occurred_at, actor_name, role, action, session, course, detail, lab FROM (
             SELECT a.id, a.occurred_at, a.actor_name, a.role, a.action, a.session, s.course, a.detail, s.lab
             FROM session s JOIN audit a ON a.session = s.id
             WHERE s.subject = $1 AND (CAST($2 AS TEXT) IS NULL OR s.course = $2)
           UNION ALL
             SELECT a.id, a.occurred_at, a.actor_name, a.role, a.action, a.session, a.course, a.detail, CAST(NULL AS TEXT)
             FROM audit a WHERE a.about = $1
           UNION ALL
             SELECT a.id, a.occurred_at, a.actor_name, a.role, a.action, a.session, a.course, a.detail, CAST(NULL AS TEXT)
             FROM audit a
             WHERE a.session IS NULL AND a.about IS NULL
               AND a.course IN (SELECT o.course FROM session o WHERE o.subject = $1)
               AND (CAST($2 AS TEXT) IS NULL OR a.course = $2)
               AND EXISTS (SELECT 1 FROM session o WHERE o.subject = $1 AND o.course = a.course
                           AND o.requested_at <= a.occurred_at + $4
                           AND (o.over_at IS NULL OR o.over_at >= a.occurred_at))
         ) AS looked WHERE id < $3 ORDER BY id DESC LIMIT $5",
    )
    .bind(subject.as_str())
    .bind(course.map(CourseId::as_str))
    .bind(before.unwrap_or(i64::MAX))
    .bind(i64::try_from(WALL_SPAN.as_micros()).unwrap_or(i64::MAX))
    .bind(i64::from(LOOKS_PAGE))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

fn read(r: &AnyRow) -> Result<Look, Failure> {
    let session = row::text_opt(r, "session")?;
    Ok(Look {
        id: row::int(r, "id")?,
        at: row::time(r, "occurred_at")?,
        name: row::text(r, "actor_name")?,
        role: launch::role(r)?,
        action: row::text(r, "action")?,
        session: session.map(|_| row::id(r, "session")).transpose()?,
        lab: row::text_opt(r, "lab")?.map(Into::into),
        course: row::text_opt(r, "course")?.map(Into::into),
        detail: row::text(r, "detail")?,
    })
}
