//! Both databases have the same schema, which guards itself; a newer one is refused.

use crate::{postgres, sqlite};
use lab_core::port::{Store as _, StoreError};
use lab_store::{SqlStore, StoreOptions};
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};
use std::collections::BTreeSet;
use tempfile::TempDir;

/// A database of each kind, empty.
struct Both {
    _folder: TempDir,
    schema: postgres::Schema,
    urls: [String; 2],
}

impl Both {
    async fn create() -> Self {
        sqlx::any::install_default_drivers();
        let (folder, schema) = (tempfile::tempdir().unwrap(), postgres::Schema::create().await);
        let urls = [format!("{}?mode=rwc", sqlite::url(folder.path())), schema.url()];
        Self {
            _folder: folder,
            schema,
            urls,
        }
    }

    async fn migrated() -> Self {
        let both = Self::create().await;
        for url in &both.urls {
            open(url).await.unwrap().close().await;
        }
        both
    }

    async fn connect(&self) -> [AnyConnection; 2] {
        let [sqlite, postgres] = &self.urls;
        let mut sqlite = AnyConnection::connect(sqlite).await.unwrap();
        sqlite.execute("PRAGMA foreign_keys = ON").await.unwrap();
        [sqlite, AnyConnection::connect(postgres).await.unwrap()]
    }
}

async fn open(url: &str) -> Result<SqlStore, StoreError> {
    SqlStore::open(url, StoreOptions::default()).await
}

/// Rows of text columns, as a set.
async fn set(conn: &mut AnyConnection, statement: &'static str, name: &str) -> BTreeSet<Vec<String>> {
    let rows = sqlx::query(statement)
        .bind(name.to_owned())
        .fetch_all(conn)
        .await
        .unwrap();
    rows.iter()
        .map(|r| (0..r.len()).map(|i| r.get::<String, _>(i)).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_tables_columns_types_and_indexes() {
    let both = Both::migrated().await;
    let [mut sqlite, mut postgres] = both.connect().await;
    let name = &both.schema.name;
    let columns = set(
        &mut sqlite,
        "SELECT t.name, c.name, c.type, CASE c.\"notnull\" WHEN 1 THEN 'required' ELSE 'optional' END
         FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND $1 <> ''",
        name,
    )
    .await;
    let same = set(
        &mut postgres,
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT),
             CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' ELSE UPPER(data_type) END,
             CASE is_nullable WHEN 'NO' THEN 'required' ELSE 'optional' END
         FROM information_schema.columns WHERE table_schema = $1",
        name,
    )
    .await;
    assert!(columns.len() > 80, "{} columns were compared", columns.len());
    assert_eq!(columns, same);

    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND $1 <> ''";
    let indexes = set(&mut sqlite, indexes, name).await;
    let same = "SELECT CAST(indexname AS TEXT) FROM pg_indexes
                WHERE schemaname = $1 AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key'";
    assert_eq!(indexes, set(&mut postgres, same, name).await);
    assert!(!indexes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_is_refused_and_an_older_one_where_migrating_is_not_allowed() {
    let both = Both::create().await;
    let keep = StoreOptions { migrate: false };
    for url in &both.urls {
        let older = SqlStore::open(url, keep).await.unwrap_err();
        assert!(matches!(older, StoreError::Older { found: 0, .. }), "{older:?}");
        assert!(
            older.to_string().contains("labwire migrate"),
            "the remedy is named: {older}"
        );
        open(url).await.unwrap().close().await;
        SqlStore::open(url, keep).await.unwrap().close().await;
    }
    for mut conn in both.connect().await {
        conn.execute("INSERT INTO schema_version (version, name) VALUES (1000, 'from the future')")
            .await
            .unwrap();
    }
    for url in &both.urls {
        for options in [keep, StoreOptions::default()] {
            let newer = SqlStore::open(url, options).await.unwrap_err();
            assert!(
                matches!(
                    newer,
                    StoreError::Newer {
                        found: 1000,
                        known: 2..
                    }
                ),
                "{newer:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_open_an_empty_database_at_once_migrate_it_once() {
    let both = Both::create().await;
    for url in &both.urls {
        let stores = futures_util::future::join_all((0..6).map(|_| open(url))).await;
        for store in stores {
            let store = store.unwrap();
            store.ping().await.unwrap();
            store.close().await;
        }
    }
}

/// A ledger that does not add up cannot be stored, by whatever program.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_refuses_a_ledger_that_does_not_add_up() {
    const ENTRY: &str = "INSERT INTO ledger_entry (tx, position, account, seconds) VALUES ";
    const TX: &str = "INSERT INTO ledger_tx (id, key, kind, ordinal, occurred_at) VALUES ('t', 't', 'issue', 0, 0)";
    let both = Both::migrated().await;
    for mut conn in both.connect().await {
        let good = [
            format!("{ENTRY} ('t', 0, 'extern', -5), ('t', 1, 'grant:x', 5)"),
            TX.to_owned(),
        ];
        let bad: [(&str, Vec<String>); 4] = [
            (
                "a sum that is not zero",
                vec![
                    format!("{ENTRY} ('t', 0, 'extern', -5), ('t', 1, 'grant:x', 4)"),
                    TX.into(),
                ],
            ),
            ("a transaction without entries", vec![TX.into()]),
            ("entries without a transaction", vec![good[0].clone()]),
            ("an entry of nothing", vec![format!("{ENTRY} ('t', 0, 'extern', 0)")]),
        ];
        for (what, statements) in bad {
            assert!(run(&mut conn, &statements).await.is_err(), "{what} was stored");
        }
        run(&mut conn, &good).await.unwrap();
        for statement in [
            format!("{ENTRY} ('t', 2, 'used:x', 1)"),
            "UPDATE ledger_entry SET seconds = 6".into(),
            "DELETE FROM ledger_entry".into(),
            "UPDATE ledger_tx SET kind = 'refund'".into(),
            "DELETE FROM ledger_tx".into(),
        ] {
            assert!(
                run(&mut conn, std::slice::from_ref(&statement)).await.is_err(),
                "{statement} was done"
            );
        }
    }
}

/// The statements in one transaction, committed.
async fn run(conn: &mut AnyConnection, statements: &[String]) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    for statement in statements {
        tx.execute(sqlx::AssertSqlSafe(statement.clone())).await?;
    }
    tx.commit().await
}

#[tokio::test]
async fn an_error_tells_neither_password_nor_statement() {
    let refused = SqlStore::open("postgres://lab:s3cret@127.0.0.1:1/x", StoreOptions::default())
        .await
        .unwrap_err();
    let mut told = vec![refused.to_string()];
    let mut source = std::error::Error::source(&refused);
    while let Some(e) = source {
        told.push(e.to_string());
        source = e.source();
    }
    assert_eq!(told[0], "the database does not answer (open)");
    assert!(!told.concat().contains("s3cret"), "{told:?}");
    let unknown = SqlStore::open("mysql://x", StoreOptions::default()).await.unwrap_err();
    assert_eq!(unknown.code(), "store-unavailable");
}
