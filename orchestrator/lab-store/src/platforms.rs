//! Platforms that may register themselves or wait for a yes, where each lists the people of a course, and which of their ids are one person.

use crate::{db::Tx, error::Failure, lti, row};
use lab_core::{
    CourseId, Subject, Timestamp, TokenHash,
    launch::lti::{
        INVITATION_TRIES_MAX, Invitation, Registration, RegistrationId, Roster, SamePerson, Tried, Waiting,
        same_person_problem,
    },
};
use sqlx::{AnyConnection, any::AnyRow};

pub(crate) async fn put(tx: &mut Tx, i: &Invitation) -> Result<(), Failure> {
    if lti::get(tx.conn(), &i.id).await?.is_some() {
        return Err(conflict(&i.id, "a registration has this name"));
    }
    let done = sqlx::query(
        "INSERT INTO lti_invitation (id, secret, course, plan, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, course = excluded.course, plan = excluded.plan,
             created_at = excluded.created_at, expires_at = excluded.expires_at, tries = 0 WHERE lti_invitation.waiting_at IS NULL",
    )
    .bind(i.id.0.as_str())
    .bind(i.secret.0.to_vec())
    .bind(i.course.as_ref().map(ToString::to_string))
    .bind(i.plan.as_ref().map(ToString::to_string))
    .bind(i.created_at.0)
    .bind(i.expires_at.0)
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(conflict(&i.id, "a platform waits by this name"));
    }
    Ok(())
}

fn conflict(id: &RegistrationId, detail: &str) -> Failure {
    Failure::conflict("invitation", id, detail)
}

pub(crate) async fn tried(tx: &mut Tx, (secret, at): &(TokenHash, Timestamp)) -> Result<Tried, Failure> {
    // counted where it is found: of many at once none reads a count that another is about to raise
    let counted = sqlx::query(
        "UPDATE lti_invitation SET tries = tries + 1
         WHERE secret = $1 AND expires_at > $2 AND waiting_at IS NULL AND tries < $3 RETURNING *",
    )
    .bind(secret.0.to_vec())
    .bind(at.0)
    .bind(i64::from(INVITATION_TRIES_MAX))
    .fetch_optional(tx.conn())
    .await?;
    if let Some(r) = counted {
        return Ok(Tried::Good(Box::new(read(&r)?)));
    }
    let there =
        sqlx::query("SELECT id FROM lti_invitation WHERE secret = $1 AND expires_at > $2 AND waiting_at IS NULL")
            .bind(secret.0.to_vec())
            .bind(at.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(there.map_or(Tried::Unknown, |_| Tried::Spent))
}

pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<Invitation>, Failure> {
    let rows = sqlx::query("SELECT * FROM lti_invitation").fetch_all(conn).await?;
    let mut all = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    // here, and not by the database: collations differ
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

pub(crate) async fn answer(tx: &mut Tx, (secret, waiting): &(TokenHash, Waiting)) -> Result<bool, Failure> {
    let (issuer, client_id, _, settings) = lti::columns(&waiting.kind);
    let done = sqlx::query(
        "UPDATE lti_invitation SET waiting_at = $2, product = $3, issuer = $4, client_id = $5, settings = $6
         WHERE secret = $1 AND expires_at > $2 AND waiting_at IS NULL",
    )
    .bind(secret.0.to_vec())
    .bind(waiting.at.0)
    .bind(waiting.product.as_str())
    .bind(issuer)
    .bind(client_id)
    .bind(settings.text()?)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn approve(
    tx: &mut Tx,
    (id, at): &(RegistrationId, Timestamp),
) -> Result<Option<Registration>, Failure> {
    let found = sqlx::query("SELECT * FROM lti_invitation WHERE id = $1")
        .bind(id.0.as_str())
        .fetch_optional(tx.conn())
        .await?;
    let Some(registration) = found.map(|r| read(&r)).transpose()?.and_then(|i| i.registration(*at)) else {
        return Ok(None);
    };
    if lti::get(tx.conn(), id).await?.is_some() {
        return Err(conflict(id, "a registration has this name"));
    }
    lti::put(tx, &registration).await?;
    drop(tx, id).await?;
    Ok(Some(registration))
}

pub(crate) async fn drop(tx: &mut Tx, id: &RegistrationId) -> Result<bool, Failure> {
    let done = sqlx::query("DELETE FROM lti_invitation WHERE id = $1").bind(id.0.as_str());
    Ok(done.execute(tx.conn()).await?.rows_affected() == 1)
}

fn read(r: &AnyRow) -> Result<Invitation, Failure> {
    let waiting = match row::time_opt(r, "waiting_at")? {
        None => None,
        Some(at) => Some(Waiting {
            at,
            product: row::text(r, "product")?,
            kind: lti::read_kind(r)?,
        }),
    };
    Ok(Invitation {
        id: RegistrationId(row::text(r, "id")?),
        secret: TokenHash(row::hash32(r, "secret")?),
        course: row::text_opt(r, "course")?.map(Into::into),
        plan: row::text_opt(r, "plan")?.map(Into::into),
        created_at: row::time(r, "created_at")?,
        expires_at: row::time(r, "expires_at")?,
        waiting,
    })
}

pub(crate) async fn roster_put(tx: &mut Tx, r: &Roster) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO lti_roster (registration, course, url) VALUES ($1, $2, $3)
         ON CONFLICT (registration, course) DO UPDATE SET url = excluded.url",
    )
    .bind(r.registration.0.as_str())
    .bind(r.course.as_str())
    .bind(r.url.as_str())
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn roster_list(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<Roster>, Failure> {
    let rows = sqlx::query(
        "SELECT registration, course, url FROM lti_roster
         WHERE course = $1 AND registration IN (SELECT id FROM lti_registration)",
    )
    .bind(course.as_str())
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(Roster {
            registration: RegistrationId(row::text(r, "registration")?),
            course: row::text(r, "course")?.into(),
            url: row::text(r, "url")?,
        })
    };
    let mut all = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.registration.cmp(&b.registration));
    Ok(all)
}

pub(crate) async fn same_put(tx: &mut Tx, same: &SamePerson) -> Result<(), Failure> {
    let all = same_list(tx.conn()).await?;
    if let Some(problem) = same_person_problem(same, &all) {
        return Err(Failure::conflict("person", &same.alias, problem));
    }
    sqlx::query("INSERT INTO same_person (alias, subject, at, said_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(same.alias.as_str())
        .bind(same.subject.as_str())
        .bind(same.at.0)
        .bind(same.by.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) async fn same_of(conn: &mut AnyConnection, alias: &Subject) -> Result<Subject, Failure> {
    let found = sqlx::query("SELECT subject FROM same_person WHERE alias = $1")
        .bind(alias.as_str())
        .fetch_optional(conn)
        .await?;
    match found {
        Some(r) => Ok(row::text(&r, "subject")?.into()),
        None => Ok(alias.clone()),
    }
}

pub(crate) async fn same_list(conn: &mut AnyConnection) -> Result<Vec<SamePerson>, Failure> {
    let rows = sqlx::query("SELECT * FROM same_person").fetch_all(conn).await?;
    sames(&rows)
}

/// What was said of one person.
pub(crate) async fn same_of_person(conn: &mut AnyConnection, subject: &Subject) -> Result<Vec<SamePerson>, Failure> {
    let rows = sqlx::query("SELECT * FROM same_person WHERE alias = $1 OR subject = $1")
        .bind(subject.as_str())
        .fetch_all(conn)
        .await?;
    sames(&rows)
}

fn sames(rows: &[AnyRow]) -> Result<Vec<SamePerson>, Failure> {
    let read = |r: &AnyRow| {
        Ok(SamePerson {
            alias: row::text(r, "alias")?.into(),
            subject: row::text(r, "subject")?.into(),
            at: row::time(r, "at")?,
            by: row::text(r, "said_by")?.into(),
        })
    };
    let mut all = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.alias.cmp(&b.alias));
    Ok(all)
}

pub(crate) async fn same_drop(tx: &mut Tx, alias: &Subject) -> Result<bool, Failure> {
    let done = sqlx::query("DELETE FROM same_person WHERE alias = $1").bind(alias.as_str());
    Ok(done.execute(tx.conn()).await?.rows_affected() == 1)
}
