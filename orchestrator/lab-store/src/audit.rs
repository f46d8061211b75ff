//! Who looked at whom.

use crate::{db::Tx, error::Failure, launch, row};
use lab_core::{SessionId, Subject, Timestamp, port::AuditEvent};
use sqlx::AnyConnection;

pub(crate) async fn append(tx: &mut Tx, e: &AuditEvent) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO audit (occurred_at, actor, actor_name, role, action, session, detail, course, about)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(e.at.0)
    .bind(e.actor.as_str())
    .bind(e.actor_name.as_str())
    .bind(e.role.name())
    .bind(e.action.as_str())
    .bind(e.session.map(|s| s.to_string()))
    .bind(e.detail.as_str())
    .bind(e.course.as_ref().map(ToString::to_string))
    .bind(e.about.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn list(conn: &mut AnyConnection, session: Option<SessionId>) -> Result<Vec<AuditEvent>, Failure> {
    let rows = sqlx::query(
        "SELECT * FROM audit WHERE CAST($1 AS TEXT) IS NULL OR session = $1
         ORDER BY occurred_at DESC, id DESC LIMIT 1000",
    )
    .bind(session.map(|s| s.to_string()))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|r| {
            let session = row::text_opt(r, "session")?;
            Ok(AuditEvent {
                at: row::time(r, "occurred_at")?,
                actor: row::text(r, "actor")?.into(),
                actor_name: row::text(r, "actor_name")?,
                role: launch::role(r)?,
                action: row::text(r, "action")?,
                session: session.map(|_| row::id(r, "session")).transpose()?,
                course: row::text_opt(r, "course")?.map(Into::into),
                about: row::text_opt(r, "about")?.map(Into::into),
                detail: row::text(r, "detail")?,
            })
        })
        .collect()
}

/// By the index `audit_session`.
pub(crate) async fn last(
    conn: &mut AnyConnection,
    session: SessionId,
    actor: &Subject,
    action: &str,
) -> Result<Option<Timestamp>, Failure> {
    let found = sqlx::query(
        "SELECT occurred_at FROM audit WHERE session = $1 AND actor = $2 AND action = $3
         ORDER BY occurred_at DESC, id DESC LIMIT 1",
    )
    .bind(session.to_string())
    .bind(actor.as_str())
    .bind(action)
    .fetch_optional(conn)
    .await?;
    found.map(|r| row::time(&r, "occurred_at")).transpose()
}
