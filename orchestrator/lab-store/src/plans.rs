//! Stage 2, entitlement: plans as rows.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    PlanId,
    entitlement::{Bilingual, Feature, Plan, TEST_RUN_PLAN, is_test_run_plan},
};
use sqlx::{AnyConnection, any::AnyRow};
use std::collections::BTreeSet;

/// Refuses a plan that nobody can be given: there is none of this name, or it stands for test runs.
pub(crate) async fn must_exist(tx: &mut Tx, plan: &PlanId) -> Result<(), Failure> {
    let row = sqlx::query("SELECT id FROM plan WHERE id = $1")
        .bind(plan.as_str())
        .fetch_optional(tx.conn());
    if row.await?.is_none() || is_test_run_plan(plan) {
        return Err(Failure::missing("plan", plan));
    }
    Ok(())
}

pub(crate) async fn put(tx: &mut Tx, plan: &Plan) -> Result<(), Failure> {
    if is_test_run_plan(&plan.id) {
        return Err(Failure::conflict(
            "plan",
            &plan.id,
            "this name stands for test runs, which no plan pays for",
        ));
    }
    let offer = plan.offer.as_ref().map(serde_json::to_string).transpose();
    let offer = offer.map_err(|e| Failure::Unreadable(format!("the offer of plan {} ({e})", plan.id)))?;
    let features: Vec<&str> = plan.features.iter().map(|f| f.code()).collect();
    sqlx::query(
        "INSERT INTO plan (id, name_en, name_fr, labs, concurrency_max, seconds, valid_days, session_secs_max, daily_secs_max,
             minimum_secs, features, offer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET name_en = excluded.name_en, name_fr = excluded.name_fr, labs = excluded.labs,
             concurrency_max = excluded.concurrency_max, seconds = excluded.seconds, valid_days = excluded.valid_days,
             session_secs_max = excluded.session_secs_max, daily_secs_max = excluded.daily_secs_max,
             minimum_secs = excluded.minimum_secs, features = excluded.features, offer = excluded.offer",
    )
    .bind(plan.id.as_str())
    .bind(plan.name.en.as_str())
    .bind(plan.name.fr.as_str())
    .bind(i64::from(plan.labs))
    .bind(i64::from(plan.concurrency_max))
    .bind(plan.seconds)
    .bind(i64::from(plan.valid_days))
    .bind(plan.session_secs_max)
    .bind(plan.daily_secs_max)
    .bind(plan.minimum_secs)
    .bind(features.join(","))
    .bind(offer)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Without the row that stands for no plan.
pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<Plan>, Failure> {
    let rows = sqlx::query("SELECT * FROM plan WHERE id <> $1").bind(TEST_RUN_PLAN);
    let rows = rows.fetch_all(conn).await?;
    let mut plans = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    plans.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(plans)
}

fn read(r: &AnyRow) -> Result<Plan, Failure> {
    let offer = row::text_opt(r, "offer")?.map(|o| serde_json::from_str(&o)).transpose();
    Ok(Plan {
        id: row::text(r, "id")?.into(),
        name: Bilingual {
            en: row::text(r, "name_en")?,
            fr: row::text(r, "name_fr")?,
        },
        labs: row::int(r, "labs")? == 1,
        concurrency_max: row::small(r, "concurrency_max")?,
        seconds: row::int(r, "seconds")?,
        valid_days: row::small(r, "valid_days")?,
        session_secs_max: row::int_opt(r, "session_secs_max")?,
        daily_secs_max: row::int_opt(r, "daily_secs_max")?,
        minimum_secs: row::int(r, "minimum_secs")?,
        features: features(&row::text(r, "features")?)?,
        offer: offer.map_err(|e| Failure::Unreadable(format!("plan.offer ({e})")))?,
    })
}

fn features(codes: &str) -> Result<BTreeSet<Feature>, Failure> {
    let known = |code| Feature::from_code(code).ok_or_else(|| Failure::Unreadable(format!("plan.features: {code:?}")));
    codes.split(',').filter(|c| !c.is_empty()).map(known).collect()
}
