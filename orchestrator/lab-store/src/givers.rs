//! Stage 2, entitlement: who gives within what was agreed, and what was withheld.

use crate::{
    SqlStore,
    db::{Db, Tx},
    entitlement,
    error::{During, Failure},
    row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, Subject,
    entitlement::{Given, Giver, GiverState, Grant, GrantBudget, Issued, WhyWithheld, Withheld},
    port::{GiverStore, StoreError},
};
use sqlx::{AnyConnection, any::AnyRow};

#[async_trait]
impl GiverStore for SqlStore {
    async fn giver_put(&self, giver: &Giver) -> Result<(), StoreError> {
        write!(self, "giver_put", giver.clone(), put)
    }
    async fn giver_get(&self, source: &str) -> Result<Option<GiverState>, StoreError> {
        read!(self, "giver_get", state, source)
    }
    async fn grant_issue_within(&self, grant: &Grant) -> Result<Issued, StoreError> {
        write!(self, "grant_issue_within", grant.clone(), issue)
    }
    async fn grant_withhold(&self, withheld: &Withheld) -> Result<(), StoreError> {
        write!(self, "grant_withhold", withheld.clone(), withhold)
    }
    async fn grant_withheld(&self, subject: &Subject, course: &CourseId) -> Result<Option<Withheld>, StoreError> {
        read!(self, "grant_withheld", withheld, subject, course)
    }
}

pub(crate) async fn put(tx: &mut Tx, giver: &Giver) -> Result<(), Failure> {
    let plans = serde_json::to_string(&giver.plans).map_err(|e| Failure::Unreadable(format!("giver.plans ({e})")))?;
    sqlx::query(
        "INSERT INTO giver (source, plans, grants_max, seconds_max, site) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (source) DO UPDATE SET plans = excluded.plans, grants_max = excluded.grants_max,
             seconds_max = excluded.seconds_max, site = excluded.site",
    )
    .bind(giver.source.as_str())
    .bind(plans)
    .bind(giver.budget.grants)
    .bind(giver.budget.seconds)
    .bind(giver.site.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn get(conn: &mut AnyConnection, source: &str) -> Result<Option<Giver>, Failure> {
    let found = sqlx::query("SELECT * FROM giver WHERE source = $1")
        .bind(source)
        .fetch_optional(conn)
        .await?;
    let Some(r) = found else { return Ok(None) };
    let plans = row::text(&r, "plans")?;
    Ok(Some(Giver {
        source: source.to_owned(),
        plans: serde_json::from_str(&plans).map_err(|e| Failure::Unreadable(format!("giver.plans ({e})")))?,
        site: row::text_opt(&r, "site")?.map(Into::into),
        budget: GrantBudget {
            grants: row::int_opt(&r, "grants_max")?,
            seconds: row::int_opt(&r, "seconds_max")?,
        },
    }))
}

async fn state(conn: &mut AnyConnection, source: &str) -> Result<Option<GiverState>, Failure> {
    let Some(giver) = get(&mut *conn, source).await? else {
        return Ok(None);
    };
    let gave = given(conn, source).await?;
    Ok(Some(GiverState { giver, given: gave }))
}

/// What grants of a source gave, less what was taken back.
async fn given(conn: &mut AnyConnection, source: &str) -> Result<Given, Failure> {
    let r = sqlx::query(
        "SELECT CAST(COALESCE(SUM(CASE WHEN g.voided_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS grants,
             CAST(COALESCE(SUM(g.seconds + (SELECT COALESCE(SUM(e.seconds), 0) FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id
                  WHERE t.key = 'revoke/' || g.id AND e.account = 'grant:' || g.id)), 0) AS BIGINT) AS seconds
         FROM lab_grant g WHERE g.source = $1",
    )
    .bind(source)
    .fetch_one(conn)
    .await?;
    Ok(Given {
        grants: row::int(&r, "grants")?,
        seconds: row::int(&r, "seconds")?,
    })
}

/// See [`GiverStore::grant_issue_within`]. Locks the giver; what was issued before is its grant, whatever is left now.
async fn issue(tx: &mut Tx, grant: &Grant) -> Result<Issued, Failure> {
    let dialect = tx.dialect;
    dialect.lock_giver(tx.conn(), &grant.source).await?;
    let there = sqlx::query("SELECT id FROM lab_grant WHERE id = $1")
        .bind(grant.id.to_string())
        .fetch_optional(tx.conn())
        .await?
        .is_some();
    let giver = get(tx.conn(), &grant.source).await?;
    if !there
        && let Some(giver) = &giver
        && let Err(spent) = giver
            .budget
            .admits(given(tx.conn(), &grant.source).await?, grant.seconds)
    {
        let withheld = Withheld {
            subject: grant.subject.clone(),
            course: grant.course.clone(),
            plan: grant.plan.clone(),
            why: WhyWithheld::Spent,
            at: grant.created_at,
        };
        withhold(tx, &withheld).await?;
        return Ok(Issued::Spent(spent));
    }
    entitlement::grant_issue(tx, grant).await?;
    entitlement::grant_at(tx, grant.id, giver.and_then(|g| g.site).as_ref()).await?;
    sqlx::query("DELETE FROM grant_withheld WHERE subject = $1 AND course = $2")
        .bind(grant.subject.as_str())
        .bind(grant.course.as_str())
        .execute(tx.conn())
        .await?;
    Ok(Issued::Done)
}

async fn withhold(tx: &mut Tx, w: &Withheld) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO grant_withheld (subject, course, plan, why, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (subject, course) DO UPDATE SET plan = excluded.plan, why = excluded.why, at = excluded.at",
    )
    .bind(w.subject.as_str())
    .bind(w.course.as_str())
    .bind(w.plan.as_str())
    .bind(w.why.code())
    .bind(w.at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn withheld(conn: &mut AnyConnection, subject: &Subject, course: &CourseId) -> Result<Option<Withheld>, Failure> {
    let found = sqlx::query("SELECT * FROM grant_withheld WHERE subject = $1 AND course = $2")
        .bind(subject.as_str())
        .bind(course.as_str())
        .fetch_optional(conn)
        .await?;
    found.as_ref().map(read_withheld).transpose()
}

/// One person's, by course.
pub(crate) async fn withheld_of(conn: &mut AnyConnection, subject: &Subject) -> Result<Vec<Withheld>, Failure> {
    let rows = sqlx::query("SELECT * FROM grant_withheld WHERE subject = $1")
        .bind(subject.as_str())
        .fetch_all(conn)
        .await?;
    let mut all = rows.iter().map(read_withheld).collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.course.cmp(&b.course));
    Ok(all)
}

fn read_withheld(r: &AnyRow) -> Result<Withheld, Failure> {
    let why = row::text(r, "why")?;
    Ok(Withheld {
        subject: row::text(r, "subject")?.into(),
        course: row::text(r, "course")?.into(),
        plan: row::text(r, "plan")?.into(),
        why: WhyWithheld::from_code(&why)
            .ok_or_else(|| Failure::Unreadable(format!("grant_withheld.why {why:?} is unknown")))?,
        at: row::time(r, "at")?,
    })
}
