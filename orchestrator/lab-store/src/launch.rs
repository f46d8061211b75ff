//! Stage 1, launch: courses, used links, logins, tickets, and what sweeps them. Launches by LTI are in `lti.rs`.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    CourseId, LaunchId, LoginId, Timestamp, TokenHash,
    launch::{Login, Role, TICKETS_A_LOGIN_MAX, Ticket},
    port::{Course, Redeem},
};
use sqlx::{AnyConnection, any::AnyRow};

/// What has expired is kept so long, for those who ask why a link did not work. Microseconds: one day.
const KEEP_US: i64 = 86_400 * 1_000_000;

pub(crate) async fn course_put(tx: &mut Tx, course: &Course) -> Result<(), Failure> {
    sqlx::query("INSERT INTO course (id, title) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET title = excluded.title")
        .bind(course.id.as_str())
        .bind(course.title.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) async fn course_list(conn: &mut AnyConnection) -> Result<Vec<Course>, Failure> {
    let rows = sqlx::query("SELECT id, title FROM course").fetch_all(conn).await?;
    let mut courses = rows.iter().map(course_read).collect::<Result<Vec<_>, Failure>>()?;
    courses.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(courses)
}

pub(crate) async fn course_get(conn: &mut AnyConnection, course: &CourseId) -> Result<Option<Course>, Failure> {
    sqlx::query("SELECT id, title FROM course WHERE id = $1")
        .bind(course.as_str())
        .fetch_optional(conn)
        .await?
        .map(|row| course_read(&row))
        .transpose()
}

fn course_read(r: &AnyRow) -> Result<Course, Failure> {
    Ok(Course {
        id: row::text(r, "id")?.into(),
        title: row::text(r, "title")?,
    })
}

pub(crate) async fn redeem(
    tx: &mut Tx,
    (id, at, keep_until): &(LaunchId, Timestamp, Timestamp),
) -> Result<Redeem, Failure> {
    let fresh = sqlx::query(
        "INSERT INTO launch_used (id, used_at, keep_until) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(at.0)
    .bind(keep_until.0)
    .execute(tx.conn())
    .await?;
    if fresh.rows_affected() == 1 {
        return Ok(Redeem::Fresh);
    }
    let used = sqlx::query("SELECT used_at FROM launch_used WHERE id = $1")
        .bind(id.to_string())
        .fetch_one(tx.conn())
        .await?;
    Ok(Redeem::Used {
        at: row::time(&used, "used_at")?,
    })
}

pub(crate) async fn login_create(tx: &mut Tx, (login, bearer): &(Login, TokenHash)) -> Result<(), Failure> {
    let done = sqlx::query(
        "INSERT INTO login (id, subject, name, role, course, lab, plan, created_at, expires_at, bearer, sponsor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
    )
    .bind(login.id.to_string())
    .bind(login.subject.as_str())
    .bind(login.name.as_str())
    .bind(login.role.name())
    .bind(login.course.as_str())
    .bind(login.lab.as_ref().map(ToString::to_string))
    .bind(login.plan.as_ref().map(ToString::to_string))
    .bind(login.created_at.0)
    .bind(login.expires_at.0)
    .bind(bearer.0.to_vec())
    .bind(login.sponsor.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::conflict(
            "login",
            login.id,
            "it, or its bearer, is there already",
        ));
    }
    Ok(())
}

pub(crate) async fn login_by_bearer(
    conn: &mut AnyConnection,
    bearer: TokenHash,
    at: Timestamp,
) -> Result<Option<Login>, Failure> {
    sqlx::query(
        "SELECT * FROM login
         WHERE (bearer = $1 OR (previous = $1 AND previous_until > $2)) AND expires_at > $2",
    )
    .bind(bearer.0.to_vec())
    .bind(at.0)
    .fetch_optional(conn)
    .await?
    .map(|r| read_login(&r))
    .transpose()
}

/// The arguments of `login_rotate`.
#[derive(Clone, Copy)]
pub(crate) struct Rotation {
    pub login: LoginId,
    pub old: TokenHash,
    pub new: TokenHash,
    pub expires_at: Timestamp,
    pub grace_until: Timestamp,
}

/// Rotating from the previous bearer is for a tab that never got the answer to its first rotation.
pub(crate) async fn login_rotate(tx: &mut Tx, r: &Rotation) -> Result<bool, Failure> {
    let done = sqlx::query(
        "UPDATE login SET previous = $2, previous_until = $3, bearer = $4, expires_at = $5
         WHERE id = $1 AND (bearer = $2 OR previous = $2)",
    )
    .bind(r.login.to_string())
    .bind(r.old.0.to_vec())
    .bind(r.grace_until.0)
    .bind(r.new.0.to_vec())
    .bind(r.expires_at.0)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn login_get(
    conn: &mut AnyConnection,
    login: LoginId,
    at: Timestamp,
) -> Result<Option<Login>, Failure> {
    sqlx::query("SELECT * FROM login WHERE id = $1 AND expires_at > $2")
        .bind(login.to_string())
        .bind(at.0)
        .fetch_optional(conn)
        .await?
        .map(|r| read_login(&r))
        .transpose()
}

pub(crate) fn read_login(r: &AnyRow) -> Result<Login, Failure> {
    Ok(Login {
        id: row::id(r, "id")?,
        subject: row::text(r, "subject")?.into(),
        name: row::text(r, "name")?,
        role: role(r)?,
        course: CourseId(row::text(r, "course")?),
        lab: row::text_opt(r, "lab")?.map(Into::into),
        plan: row::text_opt(r, "plan")?.map(Into::into),
        sponsor: row::text_opt(r, "sponsor")?.map(Into::into),
        created_at: row::time(r, "created_at")?,
        expires_at: row::time(r, "expires_at")?,
    })
}

/// The column `role`.
pub(crate) fn role(r: &AnyRow) -> Result<Role, Failure> {
    let name = row::text(r, "role")?;
    Role::from_name(&name).ok_or_else(|| Failure::Unreadable(format!("role {name:?} is unknown")))
}

pub(crate) async fn ticket_create(tx: &mut Tx, ticket: &Ticket) -> Result<(), Failure> {
    let scope = serde_json::to_string(&ticket.scope).map_err(|e| Failure::Unreadable(format!("ticket scope: {e}")))?;
    // whoever asks for tickets without end keeps no more than these
    sqlx::query(
        "DELETE FROM ticket WHERE login = $1 AND hash NOT IN
         (SELECT hash FROM ticket WHERE login = $1 ORDER BY expires_at DESC, hash LIMIT $2)",
    )
    .bind(ticket.login.to_string())
    .bind(TICKETS_A_LOGIN_MAX as i64 - 1)
    .execute(tx.conn())
    .await?;
    // selected from its login, so that a ticket of a login that is gone is not made
    let done = sqlx::query(
        "INSERT INTO ticket (hash, login, scope, expires_at)
         SELECT $1, id, $3, $4 FROM login WHERE id = $2",
    )
    .bind(ticket.hash.0.to_vec())
    .bind(ticket.login.to_string())
    .bind(scope)
    .bind(ticket.expires_at.0)
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::missing("login", ticket.login));
    }
    Ok(())
}

pub(crate) async fn ticket_take(tx: &mut Tx, (hash, at): &(TokenHash, Timestamp)) -> Result<Option<Ticket>, Failure> {
    let taken = sqlx::query("DELETE FROM ticket WHERE hash = $1 RETURNING login, scope, expires_at")
        .bind(hash.0.to_vec())
        .fetch_all(tx.conn())
        .await?;
    let Some(r) = taken.first() else { return Ok(None) };
    let expires_at = row::time(r, "expires_at")?;
    if expires_at <= *at {
        return Ok(None);
    }
    let scope = serde_json::from_str(&row::text(r, "scope")?)
        .map_err(|e| Failure::Unreadable(format!("scope of a ticket: {e}")))?;
    Ok(Some(Ticket {
        hash: *hash,
        login: row::id(r, "login")?,
        scope,
        expires_at,
    }))
}

/// Tickets first: those that go with their login are counted too.
pub(crate) async fn sweep(tx: &mut Tx, at: &Timestamp) -> Result<u64, Failure> {
    let mut dropped = 0;
    for statement in [
        "DELETE FROM ticket WHERE expires_at <= $1 OR login IN (SELECT id FROM login WHERE expires_at <= $1)",
        "DELETE FROM login WHERE expires_at <= $1",
        "DELETE FROM launch_used WHERE keep_until <= $1",
        "DELETE FROM voucher_guess WHERE since <= $1",
        "DELETE FROM lti_key WHERE retire_at <= $1",
        "DELETE FROM lti_invitation WHERE expires_at <= $1 AND waiting_at IS NULL",
    ] {
        let done = sqlx::query(statement)
            .bind(at.0.saturating_sub(KEEP_US))
            .execute(tx.conn())
            .await?;
        dropped += done.rows_affected();
    }
    // who knows a platform's name can begin logins without end, and nobody asks about one that came to nothing
    for states in [
        "DELETE FROM lti_state WHERE expires_at <= $1",
        "DELETE FROM staff_state WHERE expires_at <= $1",
    ] {
        let states = sqlx::query(states).bind(at.0);
        dropped += states.execute(tx.conn()).await?.rows_affected();
    }
    Ok(dropped)
}
