//! Embedded migrations: forward only, one text for both dialects, each applied in one transaction with its number.
//!
//! A new one is a new file and a new line below. It expands (adds what the new program needs, nullable or with a default);
//! what nobody uses any more is dropped one release later, since the previous program runs on during a roll-out.

use crate::{
    db::{Db, Tx},
    error::Failure,
    row,
};
use lab_core::port::StoreError;
use sqlx::{AssertSqlSafe, Executor as _};
use std::{cmp::Ordering, time::Duration};

/// In order; the number of each is its place, from 1.
const MIGRATIONS: &[(&str, &str)] = &[
    ("initial", include_str!("../migrations/0001_initial.sql")),
    ("pools", include_str!("../migrations/0002_pools.sql")),
    ("operations", include_str!("../migrations/0003_operations.sql")),
    ("lti", include_str!("../migrations/0004_lti.sql")),
    ("money", include_str!("../migrations/0005_money.sql")),
    ("accounts", include_str!("../migrations/0006_accounts.sql")),
    ("grades", include_str!("../migrations/0007_grades.sql")),
    ("privacy", include_str!("../migrations/0008_privacy.sql")),
    ("platforms", include_str!("../migrations/0009_platforms.sql")),
    ("staff", include_str!("../migrations/0010_staff.sql")),
    ("courses", include_str!("../migrations/0011_courses.sql")),
    ("orders", include_str!("../migrations/0012_orders.sql")),
    ("same_person", include_str!("../migrations/0013_same_person.sql")),
    ("lti_seen", include_str!("../migrations/0014_lti_seen.sql")),
    (
        "invitation_tries",
        include_str!("../migrations/0015_invitation_tries.sql"),
    ),
    ("money_sites", include_str!("../migrations/0016_money.sql")),
    (
        "authors_and_counts",
        include_str!("../migrations/0017_authors_and_counts.sql"),
    ),
    ("brand", include_str!("../migrations/0018_brand.sql")),
];

/// A large installation has some million rows; what rewrites a table of them takes minutes.
const MIGRATE_WITHIN: Duration = Duration::from_mins(30);

/// The schema this program knows.
pub(crate) fn known() -> i64 {
    MIGRATIONS.len() as i64
}

/// Brings the database to [`known`], and says from where to where; a newer one is refused and not touched.
pub(crate) async fn run(db: &Db) -> Result<(i64, i64), StoreError> {
    db.write_within(MIGRATE_WITHIN, "migrate", (), |tx, ()| Box::pin(apply(tx)))
        .await
}

async fn apply(tx: &mut Tx) -> Result<(i64, i64), Failure> {
    let dialect = tx.dialect;
    tx.conn().execute(sqlx::raw_sql(dialect.migrating())).await?;
    dialect.lock_migrations(tx.conn()).await?;
    let found = newest(tx).await?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() }.into());
    }
    for (version, (name, template)) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        // the text is ours, embedded at build time
        tx.conn()
            .execute(sqlx::raw_sql(AssertSqlSafe(dialect.schema(template))))
            .await?;
        sqlx::query("INSERT INTO schema_version (version, name) VALUES ($1, $2)")
            .bind(version)
            .bind(*name)
            .execute(tx.conn())
            .await?;
        tracing::info!(version, name, "schema migrated");
    }
    Ok((found, known()))
}

/// Refuses a database that is not at [`known`], for a process that must not migrate.
pub(crate) async fn check(db: &Db) -> Result<(), StoreError> {
    let found = db.write("open", (), |tx, ()| Box::pin(found(tx))).await?;
    match found.cmp(&known()) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::Newer { found, known: known() }),
        Ordering::Less => Err(StoreError::Older { found, known: known() }),
    }
}

/// As [`newest`], for one who may make no tables.
async fn found(tx: &mut Tx) -> Result<i64, Failure> {
    let tables = sqlx::query(tx.dialect.count_tables())
        .bind("schema_version")
        .fetch_one(tx.conn())
        .await?;
    if row::int(&tables, "n")? == 0 {
        return Ok(0);
    }
    let newest = sqlx::query("SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS newest FROM schema_version");
    row::int(&newest.fetch_one(tx.conn()).await?, "newest")
}

/// Lets a role do what `labwire serve` does, and no more: of the ledger it may add rows and read them. Its sums are kept by a trigger in
/// the owner's name. Postgres only.
pub(crate) async fn admit_role(tx: &mut Tx, role: &str) -> Result<(), Failure> {
    let schema = sqlx::query("SELECT CAST(current_schema() AS TEXT) AS name").fetch_one(tx.conn());
    let schema = quoted(&row::text(&schema.await?, "name")?);
    let role = quoted(role);
    for statement in [
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
        format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
        format!("REVOKE UPDATE, DELETE ON ledger_tx, ledger_entry, cost FROM {role}"),
        format!("REVOKE INSERT, UPDATE, DELETE ON ledger_sum, schema_version FROM {role}"),
    ] {
        // both names are quoted
        tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    Ok(())
}

/// An identifier, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The number of the last migration applied; 0 in an empty database.
async fn newest(tx: &mut Tx) -> Result<i64, Failure> {
    let create = tx.dialect.schema(
        "CREATE TABLE IF NOT EXISTS schema_version (version {int} NOT NULL PRIMARY KEY, name TEXT NOT NULL) {strict}",
    );
    tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(create))).await?;
    let newest = sqlx::query("SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS newest FROM schema_version");
    row::int(&newest.fetch_one(tx.conn()).await?, "newest")
}
