//! Launches by LTI: registrations, logins under way, our keys, refused launches.

use crate::{
    SqlStore,
    db::{Db, Tx},
    error::{During, Failure},
    givers, platforms, row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, Subject, Timestamp, TokenHash,
    entitlement::Giver,
    launch::lti::{
        Attempt, Invitation, Jwks, Kind, LtiKey, LtiState, Registration, RegistrationId, RegistrationKey,
        RegistrationUse, Roster, SamePerson, Seen, Tried, Waiting,
    },
    port::{LTI_ATTEMPTS_KEPT, LTI_FOUND_MAX, LtiStore, StoreError},
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};

#[async_trait]
impl LtiStore for SqlStore {
    async fn lti_registration_put(&self, registration: &Registration) -> Result<(), StoreError> {
        write!(self, "lti_registration_put", registration.clone(), put)
    }
    async fn lti_registration_put_with(&self, registration: &Registration, giver: &Giver) -> Result<(), StoreError> {
        let input = (registration.clone(), giver.clone());
        write!(self, "lti_registration_put_with", input, put_with)
    }
    async fn lti_registration_drop(&self, id: &RegistrationId) -> Result<bool, StoreError> {
        write!(self, "lti_registration_drop", id.clone(), drop_registration)
    }
    async fn lti_registration_use(&self, id: &RegistrationId) -> Result<RegistrationUse, StoreError> {
        read!(self, "lti_registration_use", used, id)
    }
    async fn lti_launched(&self, id: &RegistrationId, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "lti_launched", (id.clone(), at), launched)
    }
    async fn lti_launched_at(&self, id: &RegistrationId) -> Result<Option<Timestamp>, StoreError> {
        read!(self, "lti_launched_at", launched_at, id)
    }
    async fn lti_seen(&self) -> Result<Vec<Seen>, StoreError> {
        read!(self, "lti_seen", seen)
    }
    async fn lti_registration_get(&self, id: &RegistrationId) -> Result<Option<Registration>, StoreError> {
        read!(self, "lti_registration_get", get, id)
    }
    async fn lti_registration_list(&self) -> Result<Vec<Registration>, StoreError> {
        read!(self, "lti_registration_list", list)
    }
    async fn lti_registration_find(&self, key: &RegistrationKey) -> Result<Vec<Registration>, StoreError> {
        read!(self, "lti_registration_find", find, key)
    }
    async fn lti_invitation_put(&self, invitation: &Invitation) -> Result<(), StoreError> {
        write!(self, "lti_invitation_put", invitation.clone(), platforms::put)
    }
    async fn lti_invitation_try(&self, secret: TokenHash, at: Timestamp) -> Result<Tried, StoreError> {
        write!(self, "lti_invitation_try", (secret, at), platforms::tried)
    }
    async fn lti_invitation_list(&self) -> Result<Vec<Invitation>, StoreError> {
        read!(self, "lti_invitation_list", platforms::list)
    }
    async fn lti_invitation_answer(&self, secret: TokenHash, waiting: &Waiting) -> Result<bool, StoreError> {
        let input = (secret, waiting.clone());
        write!(self, "lti_invitation_answer", input, platforms::answer)
    }
    async fn lti_invitation_approve(
        &self,
        id: &RegistrationId,
        at: Timestamp,
    ) -> Result<Option<Registration>, StoreError> {
        let input = (id.clone(), at);
        write!(self, "lti_invitation_approve", input, platforms::approve)
    }
    async fn lti_invitation_drop(&self, id: &RegistrationId) -> Result<bool, StoreError> {
        write!(self, "lti_invitation_drop", id.clone(), platforms::drop)
    }
    async fn lti_roster_put(&self, roster: &Roster) -> Result<(), StoreError> {
        write!(self, "lti_roster_put", roster.clone(), platforms::roster_put)
    }
    async fn lti_roster_list(&self, course: &CourseId) -> Result<Vec<Roster>, StoreError> {
        read!(self, "lti_roster_list", platforms::roster_list, course)
    }
    async fn same_person_put(&self, same: &SamePerson) -> Result<(), StoreError> {
        write!(self, "same_person_put", same.clone(), platforms::same_put)
    }
    async fn same_person_of(&self, alias: &Subject) -> Result<Subject, StoreError> {
        read!(self, "same_person_of", platforms::same_of, alias)
    }
    async fn same_person_list(&self) -> Result<Vec<SamePerson>, StoreError> {
        read!(self, "same_person_list", platforms::same_list)
    }
    async fn same_person_drop(&self, alias: &Subject) -> Result<bool, StoreError> {
        write!(self, "same_person_drop", alias.clone(), platforms::same_drop)
    }
    async fn lti_state_put(&self, state: &LtiState) -> Result<(), StoreError> {
        write!(self, "lti_state_put", state.clone(), state_put)
    }
    async fn lti_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<LtiState>, StoreError> {
        read!(self, "lti_state_get", state_get, state, at)
    }
    async fn lti_key_add(&self, key: &LtiKey, after: Option<&str>, retire_at: Timestamp) -> Result<bool, StoreError> {
        let input = (key.clone(), after.map(str::to_owned), retire_at);
        write!(self, "lti_key_add", input, key_add)
    }
    async fn lti_key_list(&self, at: Timestamp) -> Result<Vec<LtiKey>, StoreError> {
        read!(self, "lti_key_list", key_list, at)
    }
    async fn lti_attempt_add(&self, attempt: &Attempt) -> Result<(), StoreError> {
        write!(self, "lti_attempt_add", attempt.clone(), attempt_add)
    }
    async fn lti_attempt_list(&self) -> Result<Vec<Attempt>, StoreError> {
        read!(self, "lti_attempt_list", attempt_list)
    }
}

/// The column `settings`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
pub(crate) enum Settings {
    #[serde(rename = "1.3")]
    Platform {
        auth_url: String,
        token_url: String,
        token_audience: Option<String>,
        jwks_url: Option<String>,
        jwks: Option<String>,
        deployments: Vec<String>,
    },
    #[serde(rename = "1.1")]
    Consumer { secret: String },
}

pub(crate) async fn put(tx: &mut Tx, r: &Registration) -> Result<(), Failure> {
    let (issuer, client_id, key, settings) = columns(&r.kind);
    // the unique keys hold this; asked first, so that the answer names the other one
    let other = sqlx::query(
        "SELECT id FROM lti_registration WHERE id <> $1 AND ((issuer = $2 AND client_id = $3) OR consumer_key = $4)",
    )
    .bind(r.id.0.as_str())
    .bind(issuer)
    .bind(client_id)
    .bind(key)
    .fetch_optional(tx.conn())
    .await?;
    if let Some(other) = other {
        let detail = format!("registration {} has the same platform or key", row::text(&other, "id")?);
        return Err(Failure::conflict("registration", &r.id, detail));
    }
    let before = get(tx.conn(), &r.id).await?.map(|b| b.kind);
    if before.as_ref().is_none_or(|kind| !kind.is_same_client(&r.kind)) {
        put_aside(tx, &r.id, before.as_ref()).await?;
        rename(tx, &r.id.former(Some(&r.kind)), &r.id).await?;
    }
    sqlx::query(
        "INSERT INTO lti_registration (id, course, plan, created_at, issuer, client_id, consumer_key, settings)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET course = excluded.course, plan = excluded.plan, issuer = excluded.issuer,
             client_id = excluded.client_id, consumer_key = excluded.consumer_key, settings = excluded.settings",
    )
    .bind(r.id.0.as_str())
    .bind(r.course.as_ref().map(ToString::to_string))
    .bind(r.plan.as_ref().map(ToString::to_string))
    .bind(r.created_at.0)
    .bind(issuer)
    .bind(client_id)
    .bind(key)
    .bind(settings.text()?)
    .execute(tx.conn())
    .await?;
    Ok(())
}

impl Settings {
    pub(crate) fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|e| Failure::Unreadable(format!("settings: {e}")))
    }
}

/// Issuer, client id, key, and the rest.
pub(crate) fn columns(kind: &Kind) -> (Option<&str>, Option<&str>, Option<&str>, Settings) {
    match kind {
        Kind::Platform {
            issuer,
            client_id,
            auth_url,
            token_url,
            token_audience,
            jwks,
            deployments,
        } => {
            let (jwks_url, jwks) = match jwks {
                Jwks::Url(url) => (Some(url.clone()), None),
                Jwks::Static(json) => (None, Some(json.clone())),
            };
            let settings = Settings::Platform {
                auth_url: auth_url.clone(),
                token_url: token_url.clone(),
                token_audience: token_audience.clone(),
                jwks_url,
                jwks,
                deployments: deployments.clone(),
            };
            (Some(issuer), Some(client_id), None, settings)
        }
        Kind::Consumer { key, secret } => (None, None, Some(key), Settings::Consumer { secret: secret.clone() }),
    }
}

/// Of a row of either table.
pub(crate) fn read_kind(r: &AnyRow) -> Result<Kind, Failure> {
    // what cannot be read may hold a secret: the text is not told
    let settings = serde_json::from_str(&row::text(r, "settings")?)
        .map_err(|_| Failure::Unreadable("settings of a registration".into()))?;
    Ok(match settings {
        Settings::Platform {
            auth_url,
            token_url,
            token_audience,
            jwks_url,
            jwks,
            deployments,
        } => Kind::Platform {
            issuer: row::text(r, "issuer")?,
            client_id: row::text(r, "client_id")?,
            auth_url,
            token_url,
            token_audience,
            jwks: match (jwks_url, jwks) {
                (Some(url), _) => Jwks::Url(url),
                (None, Some(json)) => Jwks::Static(json),
                (None, None) => return Err(Failure::Unreadable("settings of a registration: no keys".into())),
            },
            deployments,
        },
        Settings::Consumer { secret } => Kind::Consumer {
            key: row::text(r, "consumer_key")?,
            secret,
        },
    })
}

fn read_registration(r: &AnyRow) -> Result<Registration, Failure> {
    Ok(Registration {
        id: RegistrationId(row::text(r, "id")?),
        course: row::text_opt(r, "course")?.map(Into::into),
        plan: row::text_opt(r, "plan")?.map(Into::into),
        created_at: row::time(r, "created_at")?,
        kind: read_kind(r)?,
    })
}

pub(crate) async fn get(conn: &mut AnyConnection, id: &RegistrationId) -> Result<Option<Registration>, Failure> {
    let found = sqlx::query("SELECT * FROM lti_registration WHERE id = $1").bind(id.0.as_str());
    found
        .fetch_optional(conn)
        .await?
        .map(|r| read_registration(&r))
        .transpose()
}

async fn list(conn: &mut AnyConnection) -> Result<Vec<Registration>, Failure> {
    let rows = sqlx::query("SELECT * FROM lti_registration").fetch_all(conn).await?;
    let mut all = rows
        .iter()
        .map(read_registration)
        .collect::<Result<Vec<_>, Failure>>()?;
    // here, and not by the database: collations differ
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

async fn find(conn: &mut AnyConnection, key: &RegistrationKey) -> Result<Vec<Registration>, Failure> {
    let query = match key {
        RegistrationKey::Platform {
            issuer,
            client_id: Some(client_id),
        } => sqlx::query("SELECT * FROM lti_registration WHERE issuer = $2 AND client_id = $3 LIMIT $1")
            .bind(i64::from(LTI_FOUND_MAX))
            .bind(issuer.as_str())
            .bind(client_id.as_str()),
        RegistrationKey::Platform {
            issuer,
            client_id: None,
        } => sqlx::query("SELECT * FROM lti_registration WHERE issuer = $2 LIMIT $1")
            .bind(i64::from(LTI_FOUND_MAX))
            .bind(issuer.as_str()),
        RegistrationKey::Consumer { key } => {
            sqlx::query("SELECT * FROM lti_registration WHERE consumer_key = $2 LIMIT $1")
                .bind(i64::from(LTI_FOUND_MAX))
                .bind(key.as_str())
        }
    };
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(read_registration).collect()
}

async fn state_put(tx: &mut Tx, s: &LtiState) -> Result<(), Failure> {
    let done = sqlx::query(
        "INSERT INTO lti_state (state, nonce, browser, registration, target, initiation, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(s.state.0.to_vec())
    .bind(s.nonce.0.to_vec())
    .bind(s.browser.0.to_vec())
    .bind(s.registration.0.as_str())
    .bind(s.target.as_str())
    .bind(s.initiation.as_str())
    .bind(s.expires_at.0)
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::conflict("state", "of a launch", "it is there already"));
    }
    Ok(())
}

async fn state_get(conn: &mut AnyConnection, state: TokenHash, at: Timestamp) -> Result<Option<LtiState>, Failure> {
    let found = sqlx::query("SELECT * FROM lti_state WHERE state = $1 AND expires_at > $2")
        .bind(state.0.to_vec())
        .bind(at.0)
        .fetch_optional(conn)
        .await?;
    let read = |r: AnyRow| {
        Ok(LtiState {
            state,
            nonce: TokenHash(row::hash32(&r, "nonce")?),
            browser: TokenHash(row::hash32(&r, "browser")?),
            registration: RegistrationId(row::text(&r, "registration")?),
            target: row::text(&r, "target")?,
            initiation: row::text(&r, "initiation")?,
            expires_at: row::time(&r, "expires_at")?,
        })
    };
    found.map(read).transpose()
}

async fn put_with(tx: &mut Tx, (registration, giver): &(Registration, Giver)) -> Result<(), Failure> {
    put(tx, registration).await?;
    givers::put(tx, giver).await
}

/// Addresses of what was there go with it: another platform by the same name must not be asked at them.
async fn drop_registration(tx: &mut Tx, id: &RegistrationId) -> Result<bool, Failure> {
    let Some(registration) = get(tx.conn(), id).await? else {
        return Ok(false);
    };
    put_aside(tx, id, Some(&registration.kind)).await?;
    let done = sqlx::query("DELETE FROM lti_registration WHERE id = $1").bind(id.0.as_str());
    Ok(done.execute(tx.conn()).await?.rows_affected() == 1)
}

/// What is of the client that had a name, and of no other: otherwise a grade would go to its addresses with another's token.
async fn put_aside(tx: &mut Tx, id: &RegistrationId, of: Option<&Kind>) -> Result<(), Failure> {
    for dependent in [
        "DELETE FROM lti_state WHERE registration = $1",
        "DELETE FROM lti_roster WHERE registration = $1",
    ] {
        sqlx::query(dependent).bind(id.0.as_str()).execute(tx.conn()).await?;
    }
    rename(tx, id, &id.former(of)).await
}

/// Where both have something at one place (a launch that was under way when the name went), the newer one's stays.
async fn rename(tx: &mut Tx, from: &RegistrationId, to: &RegistrationId) -> Result<(), Failure> {
    for change in [
        "DELETE FROM grade WHERE registration = $2 AND EXISTS
             (SELECT 1 FROM grade g WHERE g.registration = $1 AND g.platform_user = grade.platform_user AND g.place = grade.place)",
        // another revision: whoever is about to send one of them reads it again
        "UPDATE grade SET registration = $2, revision = revision + 1 WHERE registration = $1",
        "DELETE FROM grade_line_item WHERE registration = $2 AND EXISTS
             (SELECT 1 FROM grade_line_item i WHERE i.registration = $1 AND i.line_items = grade_line_item.line_items
                  AND i.lab = grade_line_item.lab)",
        "UPDATE grade_line_item SET registration = $2 WHERE registration = $1",
        "DELETE FROM lti_launched WHERE registration = $2 AND EXISTS (SELECT 1 FROM lti_launched l WHERE l.registration = $1)",
        "UPDATE lti_launched SET registration = $2 WHERE registration = $1",
    ] {
        sqlx::query(change)
            .bind(from.0.as_str())
            .bind(to.0.as_str())
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

async fn used(conn: &mut AnyConnection, id: &RegistrationId) -> Result<RegistrationUse, Failure> {
    let source = id.source();
    let courses = sqlx::query(
        "SELECT course FROM lab_grant WHERE source = $1 UNION SELECT course FROM grade WHERE registration = $2
         UNION SELECT course FROM lti_roster WHERE registration = $2",
    )
    .bind(source.as_str())
    .bind(id.0.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let counts = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM (SELECT subject FROM lab_grant WHERE source = $1
                                       UNION SELECT subject FROM grade WHERE registration = $2) people) AS learners,
                (SELECT COUNT(*) FROM grade WHERE registration = $2 AND state = 'pending') AS grades,
                (SELECT COUNT(*) FROM lti_state WHERE registration = $2) AS logins",
    )
    .bind(source.as_str())
    .bind(id.0.as_str())
    .fetch_one(conn)
    .await?;
    let count = |name| Ok::<_, Failure>(row::int(&counts, name)?.unsigned_abs());
    let name = |r: &AnyRow| Ok(row::text(r, "course")?.into());
    let mut courses = courses.iter().map(name).collect::<Result<Vec<CourseId>, Failure>>()?;
    courses.sort();
    Ok(RegistrationUse {
        courses,
        learners: count("learners")?,
        grades_waiting: count("grades")?,
        logins: count("logins")?,
    })
}

async fn launched(tx: &mut Tx, (id, at): &(RegistrationId, Timestamp)) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO lti_launched (registration, at) VALUES ($1, $2)
         ON CONFLICT (registration) DO UPDATE SET at = excluded.at WHERE lti_launched.at < excluded.at",
    )
    .bind(id.0.as_str())
    .bind(at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn launched_at(conn: &mut AnyConnection, id: &RegistrationId) -> Result<Option<Timestamp>, Failure> {
    let found = sqlx::query("SELECT at FROM lti_launched WHERE registration = $1")
        .bind(id.0.as_str())
        .fetch_optional(conn)
        .await?;
    found.map(|r| row::time(&r, "at")).transpose()
}

/// A course of 2,500 learners with five labs has 12,500 rows of grades; they are read by the index of their registration.
async fn seen(conn: &mut AnyConnection) -> Result<Vec<Seen>, Failure> {
    let rows = sqlx::query(
        "SELECT r.id, (SELECT l.at FROM lti_launched l WHERE l.registration = r.id) AS launched_at,
                MAX(g.sent_at) AS graded_at,
                COUNT(CASE WHEN g.state = 'pending' THEN 1 END) AS waiting,
                COUNT(CASE WHEN g.state = 'failed' THEN 1 END) AS failed
         FROM lti_registration r LEFT JOIN grade g ON g.registration = r.id GROUP BY r.id",
    )
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(Seen {
            registration: RegistrationId(row::text(r, "id")?),
            launched_at: row::time_opt(r, "launched_at")?,
            graded_at: row::time_opt(r, "graded_at")?,
            grades_waiting: row::int(r, "waiting")?.unsigned_abs(),
            grades_failed: row::int(r, "failed")?.unsigned_abs(),
        })
    };
    let mut all = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    // as our own order of names, whatever the database's language is
    all.sort_by(|a, b| a.registration.cmp(&b.registration));
    Ok(all)
}

/// Two that read the same newest key take the same ordinal: the second is undone, runs again, and finds the first.
async fn key_add(tx: &mut Tx, (key, after, retire_at): &(LtiKey, Option<String>, Timestamp)) -> Result<bool, Failure> {
    let newest = sqlx::query("SELECT kid, ordinal FROM lti_key ORDER BY ordinal DESC LIMIT 1")
        .fetch_optional(tx.conn())
        .await?;
    let (kid, ordinal) = match &newest {
        Some(r) => (Some(row::text(r, "kid")?), row::int(r, "ordinal")?),
        None => (None, 0),
    };
    if kid != *after {
        return Ok(false);
    }
    sqlx::query("UPDATE lti_key SET retire_at = $1 WHERE retire_at IS NULL")
        .bind(retire_at.0)
        .execute(tx.conn())
        .await?;
    sqlx::query("INSERT INTO lti_key (kid, ordinal, private, created_at, retire_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(key.kid.as_str())
        .bind(ordinal + 1)
        .bind(key.private.as_str())
        .bind(key.created_at.0)
        .bind(key.retire_at.map(|t| t.0))
        .execute(tx.conn())
        .await?;
    Ok(true)
}

async fn key_list(conn: &mut AnyConnection, at: Timestamp) -> Result<Vec<LtiKey>, Failure> {
    let rows = sqlx::query("SELECT * FROM lti_key WHERE retire_at IS NULL OR retire_at > $1 ORDER BY ordinal DESC")
        .bind(at.0)
        .fetch_all(conn)
        .await?;
    let read = |r| {
        Ok(LtiKey {
            kid: row::text(r, "kid")?,
            private: row::text(r, "private")?,
            created_at: row::time(r, "created_at")?,
            retire_at: row::time_opt(r, "retire_at")?,
        })
    };
    rows.iter().map(read).collect()
}

async fn attempt_add(tx: &mut Tx, a: &Attempt) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO lti_attempt (at, registration, platform, version, code, step, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(a.at.0)
    .bind(a.registration.as_ref().map(|r| r.0.clone()))
    .bind(a.platform.clone())
    .bind(a.version.as_str())
    .bind(a.code.as_str())
    .bind(i64::from(a.step))
    .bind(a.detail.as_str())
    .execute(tx.conn())
    .await?;
    sqlx::query("DELETE FROM lti_attempt WHERE id <= (SELECT MAX(id) FROM lti_attempt) - $1")
        .bind(i64::from(LTI_ATTEMPTS_KEPT))
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn attempt_list(conn: &mut AnyConnection) -> Result<Vec<Attempt>, Failure> {
    let rows = sqlx::query("SELECT * FROM lti_attempt ORDER BY id DESC")
        .fetch_all(conn)
        .await?;
    let read = |r| {
        Ok(Attempt {
            at: row::time(r, "at")?,
            registration: row::text_opt(r, "registration")?.map(RegistrationId),
            platform: row::text_opt(r, "platform")?,
            version: row::text(r, "version")?,
            code: row::text(r, "code")?,
            step: row::small(r, "step")?,
            detail: row::text(r, "detail")?,
        })
    };
    rows.iter().map(read).collect()
}
