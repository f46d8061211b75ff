//! What operations see and decide: aggregates of the whole installation, and the pause of new launches.

use crate::{audit, db::Tx, error::Failure, row};
use lab_core::{
    Timestamp,
    launch::Role,
    operations::{FailureCount, LaunchPause, LeaseReport, PauseChange, RecorderLeases, StateCount},
    port::{AuditEvent, Lease},
};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::Store::launches_pause`]. Lifting what is not paused changes nothing and is not audited.
pub(crate) async fn pause(tx: &mut Tx, change: &PauseChange) -> Result<Option<LaunchPause>, Failure> {
    let (action, detail) = if let Some(notice) = &change.to {
        sqlx::query(
            "INSERT INTO launch_pause (id, reason, back_at, since, actor, actor_name) VALUES (1, $1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, back_at = excluded.back_at, actor = excluded.actor,
                 actor_name = excluded.actor_name",
        )
        .bind(notice.reason.as_str())
        .bind(notice.until.map(|at| at.0))
        .bind(change.at.0)
        .bind(change.by.as_str())
        .bind(change.by_name.as_str())
        .execute(tx.conn())
        .await?;
        ("pause-launches", notice.reason.as_str())
    } else {
        let lifted = sqlx::query("DELETE FROM launch_pause").execute(tx.conn()).await?;
        if lifted.rows_affected() == 0 {
            return Ok(None);
        }
        ("resume-launches", "")
    };
    let event = AuditEvent {
        at: change.at,
        actor: change.by.clone(),
        actor_name: change.by_name.clone(),
        role: Role::Operations,
        action: action.to_owned(),
        session: None,
        course: None,
        about: None,
        detail: detail.to_owned(),
    };
    audit::append(tx, &event).await?;
    paused(tx.conn()).await
}

pub(crate) async fn paused(conn: &mut AnyConnection) -> Result<Option<LaunchPause>, Failure> {
    let found = sqlx::query("SELECT * FROM launch_pause").fetch_optional(conn).await?;
    let read = |r: AnyRow| {
        Ok(LaunchPause {
            reason: row::text(&r, "reason")?,
            until: row::time_opt(&r, "back_at")?,
            since: row::time(&r, "since")?,
            by: row::text(&r, "actor")?.into(),
            by_name: row::text(&r, "actor_name")?,
        })
    };
    found.map(read).transpose()
}

pub(crate) async fn session_counts(conn: &mut AnyConnection) -> Result<Vec<StateCount>, Failure> {
    let rows =
        sqlx::query("SELECT state, COUNT(*) AS n FROM session WHERE over_at IS NULL GROUP BY state ORDER BY state")
            .fetch_all(conn)
            .await?;
    let read = |r| {
        Ok(StateCount {
            state: row::text(r, "state")?,
            count: row::unsigned(r, "n")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The reasons of an end are those of [`lab_core::provisioning::EndReason::is_failure`]; a test holds them together.
pub(crate) async fn failure_counts(conn: &mut AnyConnection, since: Timestamp) -> Result<Vec<FailureCount>, Failure> {
    let rows = sqlx::query(
        "SELECT state, reason, lab, COUNT(*) AS n, MAX(over_at) AS last_at FROM session
         WHERE over_at IS NOT NULL AND over_at >= $1
           AND (state = 'failed' OR reason IN ('sandbox-lost', 'out-of-memory', 'out-of-disk', 'agent-lost', 'recording-failed'))
         GROUP BY state, reason, lab ORDER BY n DESC, last_at DESC, reason, lab",
    )
    .bind(since.0)
    .fetch_all(conn)
    .await?;
    let read = |r| {
        Ok(FailureCount {
            reason: row::text(r, "reason")?,
            after_ready: row::text(r, "state")? == "ended",
            lab: row::text(r, "lab")?.into(),
            count: row::unsigned(r, "n")?,
            last_at: row::time(r, "last_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The conditions on `name` and `holder` are the words of the indexes `lease_task` and `lease_recorder`.
pub(crate) async fn lease_report(conn: &mut AnyConnection, at: Timestamp) -> Result<LeaseReport, Failure> {
    let tasks = sqlx::query(
        "SELECT name, holder, epoch, expires_at FROM lease WHERE substr(name, 1, 9) <> 'recorder/' ORDER BY name",
    )
    .fetch_all(&mut *conn)
    .await?;
    let task = |r| {
        Ok(Lease {
            name: row::text(r, "name")?,
            holder: row::text(r, "holder")?,
            epoch: row::unsigned(r, "epoch")?,
            expires_at: row::time(r, "expires_at")?,
        })
    };
    let recorders = sqlx::query(
        "SELECT holder, COUNT(*) AS n, MIN(expires_at) AS first FROM lease
         WHERE holder <> '' AND substr(name, 1, 9) = 'recorder/' AND expires_at > $1
         GROUP BY holder ORDER BY holder",
    )
    .bind(at.0)
    .fetch_all(conn)
    .await?;
    let recorder = |r| {
        Ok(RecorderLeases {
            holder: row::text(r, "holder")?,
            sessions: row::unsigned(r, "n")?,
            expires_at: row::time(r, "first")?,
        })
    };
    Ok(LeaseReport {
        tasks: tasks.iter().map(task).collect::<Result<_, Failure>>()?,
        recorders: recorders.iter().map(recorder).collect::<Result<_, Failure>>()?,
    })
}
