//! What has had its time. Rows say so first, the caller deletes the objects, and only then is it forgotten where they lay: whatever dies in
//! between leaves a row that the next sweep finishes, never a recording that can be read in part, and never an object nobody knows of.

use crate::{db::Tx, error::Failure, leases, row};
use lab_core::{
    SessionId, Timestamp,
    port::RETENTION_LEASE,
    privacy::{Before, Class, Due, Removal, RetentionRun},
};
use sqlx::{AnyConnection, any::AnyRow};
use std::time::Duration;

/// A recording whose time has come: $1 ends ordinary ones, $2 those of exams. One whose learner was forgotten has no time left.
macro_rules! recordings_due {
    ($select:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $select,
            " FROM recording r JOIN session s ON s.id = r.session JOIN plan p ON p.id = s.plan
             WHERE r.removed_at IS NULL AND s.over_at IS NOT NULL
               AND (s.erased_at IS NOT NULL
                    OR s.over_at <= CASE WHEN ',' || p.features || ',' LIKE '%,exam,%' THEN $2 ELSE $1 END) ",
            $rest
        )
    };
}

pub(super) async fn due(conn: &mut AnyConnection, before: &Before) -> Result<Vec<Due>, Failure> {
    let mut all = Vec::with_capacity(Class::ALL.len());
    for class in Class::ALL {
        let statement = match class {
            Class::Recordings => recordings_due!(
                "COUNT(*) AS n, MAX(CASE WHEN ',' || p.features || ',' LIKE '%,exam,%' THEN $2 ELSE $1 END - s.over_at) AS us",
                ""
            ),
            Class::Checks => {
                "SELECT COUNT(*) AS n, MAX($1 - checked_at) AS us FROM check_outcome WHERE checked_at <= $1 AND $2 = $2"
            }
            Class::Names => {
                "SELECT COUNT(*) AS n, MAX($1 - over_at) AS us FROM session
                 WHERE over_at IS NOT NULL AND name <> subject AND over_at <= $1 AND $2 = $2"
            }
            Class::Audit => {
                "SELECT COUNT(*) AS n, MAX($1 - occurred_at) AS us FROM audit WHERE occurred_at <= $1 AND $2 = $2"
            }
        };
        let r = sqlx::query(statement)
            .bind(class.before(before).0)
            .bind(before.exam_recordings.0)
            .fetch_one(&mut *conn)
            .await?;
        all.push(Due {
            class,
            count: row::unsigned(&r, "n")?,
            // one whose learner was forgotten goes before its time
            overdue: Duration::from_micros(u64::try_from(row::int_opt(&r, "us")?.unwrap_or(0)).unwrap_or(0)),
        });
    }
    Ok(all)
}

pub(super) async fn recordings_due(
    conn: &mut AnyConnection,
    before: &Before,
    limit: u32,
) -> Result<Vec<SessionId>, Failure> {
    let rows = sqlx::query(recordings_due!("r.session", "ORDER BY r.opened_at LIMIT $3"))
        .bind(before.recordings.0)
        .bind(before.exam_recordings.0)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(|r| row::id(r, "session")).collect()
}

/// Removes recordings by a condition on their session's id. One that was open is closed: its recorder finds it so.
macro_rules! remove_recordings {
    ($which:literal) => {
        concat!(
            "UPDATE recording SET removed_at = $2,
                 state = CASE WHEN state = 'open' THEN 'cut' ELSE state END,
                 state_reason = CASE WHEN state = 'open' THEN 'removed' ELSE state_reason END,
                 state_at = COALESCE(state_at, $2)
             WHERE removed_at IS NULL AND session ",
            $which
        )
    };
}

pub(super) use remove_recordings;

pub(super) async fn remove(tx: &mut Tx, (session, epoch, at): &(SessionId, u64, Timestamp)) -> Result<bool, Failure> {
    leases::fence(tx, RETENTION_LEASE, *epoch).await?;
    let done = sqlx::query(remove_recordings!("= $1"))
        .bind(session.to_string())
        .bind(at.0)
        .execute(tx.conn())
        .await?;
    let removed = done.rows_affected();
    count(tx, Class::Recordings, removed, *at).await?;
    Ok(removed == 1)
}

pub(super) async fn removals(conn: &mut AnyConnection, second: Timestamp, limit: u32) -> Result<Vec<Removal>, Failure> {
    let rows = sqlx::query(
        "SELECT session, cleared_at FROM recording
         WHERE removed_at IS NOT NULL AND swept_at IS NULL AND (cleared_at IS NULL OR removed_at <= $1)
         ORDER BY removed_at, session LIMIT $2",
    )
    .bind(second.0)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(Removal {
            session: row::id(r, "session")?,
            again: row::int_opt(r, "cleared_at")?.is_some(),
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn done(tx: &mut Tx, (removal, at): &(Removal, Timestamp)) -> Result<(), Failure> {
    let session = removal.session.to_string();
    // where the objects lay is forgotten after them
    sqlx::query(
        "DELETE FROM recording_chunk WHERE session IN (SELECT session FROM recording WHERE session = $1 AND removed_at IS NOT NULL)",
    )
    .bind(session.as_str())
    .execute(tx.conn())
    .await?;
    let statement = if removal.again {
        "UPDATE recording SET swept_at = $2 WHERE session = $1 AND cleared_at IS NOT NULL AND swept_at IS NULL"
    } else {
        "UPDATE recording SET cleared_at = $2 WHERE session = $1 AND removed_at IS NOT NULL AND cleared_at IS NULL"
    };
    sqlx::query(statement)
        .bind(session)
        .bind(at.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The arguments of `retention_delete`.
#[derive(Clone, Copy)]
pub(super) struct Deletion {
    pub class: Class,
    pub epoch: u64,
    pub before: Timestamp,
    pub at: Timestamp,
    pub limit: u32,
}

pub(super) async fn delete(tx: &mut Tx, d: &Deletion) -> Result<u64, Failure> {
    leases::fence(tx, RETENTION_LEASE, d.epoch).await?;
    let statement = match d.class {
        // objects hang on them: see `remove`
        Class::Recordings => return Ok(0),
        Class::Checks => {
            "DELETE FROM check_outcome WHERE (session, check_id) IN
                 (SELECT session, check_id FROM check_outcome WHERE checked_at <= $1 ORDER BY checked_at LIMIT $2)"
        }
        Class::Names => {
            "UPDATE session SET name = subject WHERE id IN
                 (SELECT id FROM session WHERE over_at IS NOT NULL AND name <> subject AND over_at <= $1
                  ORDER BY over_at LIMIT $2)"
        }
        Class::Audit => {
            "DELETE FROM audit WHERE id IN
                 (SELECT id FROM audit WHERE occurred_at <= $1 ORDER BY occurred_at, id LIMIT $2)"
        }
    };
    let gone = sqlx::query(statement)
        .bind(d.before.0)
        .bind(i64::from(d.limit))
        .execute(tx.conn())
        .await?
        .rows_affected();
    count(tx, d.class, gone, d.at).await?;
    Ok(gone)
}

/// Adds to what went so far.
async fn count(tx: &mut Tx, class: Class, gone: u64, at: Timestamp) -> Result<(), Failure> {
    if gone == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO retention_run (class, ran_at, removed) VALUES ($1, $2, $3)
         ON CONFLICT (class) DO UPDATE SET ran_at = excluded.ran_at, removed = retention_run.removed + excluded.removed",
    )
    .bind(class.name())
    .bind(at.0)
    .bind(row::count(gone))
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn runs(conn: &mut AnyConnection) -> Result<Vec<RetentionRun>, Failure> {
    let rows = sqlx::query("SELECT class, ran_at, removed FROM retention_run")
        .fetch_all(conn)
        .await?;
    let mut all = Vec::with_capacity(rows.len());
    for r in &rows {
        // a class that only a newer program knows
        let Some(class) = Class::from_name(&row::text(r, "class")?) else {
            continue;
        };
        all.push(RetentionRun {
            class,
            at: row::time(r, "ran_at")?,
            removed: row::unsigned(r, "removed")?,
        });
    }
    all.sort_by_key(|r| r.class);
    Ok(all)
}
