//! The contract on a real PostgreSQL.

use lab_core::port::{Refund, Store};
use lab_store::{SqlStore, StoreOptions};
use lab_testkit::contract::store::fixture::{School, at, used};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use std::{process::Command, sync::Arc};

/// A schema of its own in a server that many tests share; dropped with this.
pub struct Schema {
    server: String,
    pub name: String,
}

impl Schema {
    pub async fn create() -> Self {
        let schema = Self {
            server: server(),
            name: format!("t_{}", uuid::Uuid::now_v7().simple()),
        };
        schema.admin(format!("CREATE SCHEMA {}", schema.name)).await;
        schema
    }

    /// Where a store finds this schema and no other.
    pub fn url(&self) -> String {
        let sign = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{sign}options[search_path]={}", self.server, self.name)
    }

    async fn admin(&self, statement: String) {
        sqlx::any::install_default_drivers();
        let mut conn = AnyConnection::connect(&self.server).await.unwrap();
        conn.execute(AssertSqlSafe(statement)).await.unwrap();
        conn.close().await.unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = self.admin(format!("DROP SCHEMA {} CASCADE", self.name));
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(drop));
    }
}

/// The server's address: the one given, or the throw-away one. Without a server the tests fail, and say what to do.
fn server() -> String {
    if let Ok(url) = std::env::var("LABWIRE_TEST_POSTGRES") {
        return url;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
    let remedy = "install PostgreSQL (scripts/need db, as root), or set LABWIRE_TEST_POSTGRES=postgres://…";
    let output = Command::new(script)
        .arg("start")
        .output()
        .unwrap_or_else(|e| panic!("{script}: {e}; {remedy}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no PostgreSQL to test with: {said}; {remedy}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An empty store, and its schema.
pub async fn open() -> (Arc<dyn Store>, Schema) {
    let schema = Schema::create().await;
    (
        Arc::new(SqlStore::open(&schema.url(), StoreOptions::default()).await.unwrap()),
        schema,
    )
}

lab_testkit::store_contract!(crate::postgres::open);

/// A role that may serve, in a schema of its own; dropped with this, before the schema.
struct Role<'a> {
    schema: &'a Schema,
    name: String,
}

impl<'a> Role<'a> {
    async fn admit(schema: &'a Schema) -> Self {
        let name = format!("serve_{}", uuid::Uuid::now_v7().simple());
        schema.admin(format!("CREATE ROLE {name} LOGIN PASSWORD 'serve'")).await;
        let role = Self { schema, name };
        SqlStore::migrate(&schema.url()).await.unwrap();
        SqlStore::admit_role(&schema.url(), &role.name).await.unwrap();
        role
    }

    fn url(&self) -> String {
        let (scheme, rest) = self.schema.server.split_once("://").unwrap();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let sign = if place.contains('?') { '&' } else { '?' };
        format!(
            "{scheme}://{}:serve@{place}{sign}options[search_path]={}",
            self.name, self.schema.name
        )
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let drop = async {
            self.schema.admin(format!("DROP OWNED BY {}", self.name)).await;
            self.schema.admin(format!("DROP ROLE {}", self.name)).await;
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(drop));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_that_serves_adds_to_the_ledger_and_changes_nothing_in_it() {
    let schema = Schema::create().await;
    let role = Role::admit(&schema).await;
    let store = Arc::new(
        SqlStore::open(&role.url(), StoreOptions { migrate: false })
            .await
            .unwrap(),
    );
    let school = School::open(store.clone()).await;
    let session = school.at_work(3600).await;
    school.store.settle(&used(&session, 600)).await.unwrap();
    let refund = Refund {
        session: session.id,
        seconds: 100,
        reason: "test".into(),
        at: at(8000),
    };
    school.store.refund(&refund).await.unwrap();
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!(
        (sums.total, sums.used),
        (0, 500),
        "the sums are kept in the owner's name"
    );
    let mut conn = AnyConnection::connect(&role.url()).await.unwrap();
    for statement in [
        "UPDATE ledger_entry SET seconds = 1",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry CASCADE",
        "UPDATE ledger_tx SET reason = 'mine'",
        "DELETE FROM ledger_tx",
        "TRUNCATE ledger_tx CASCADE",
        "UPDATE ledger_sum SET seconds = 0",
        "ALTER TABLE ledger_tx DISABLE TRIGGER ALL",
        "DROP TABLE ledger_entry",
        "CREATE TABLE mine (n BIGINT)",
    ] {
        let refused = conn.execute(statement).await.map(drop).map_err(|e| {
            e.as_database_error()
                .and_then(|e| e.code().map(std::borrow::Cow::into_owned))
        });
        // insufficient_privilege
        assert_eq!(refused, Err(Some("42501".to_owned())), "{statement}");
    }
    conn.close().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_the_owner_changes_the_ledger_by_accident() {
    let (store, schema) = open().await;
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 100).await;
    let mut conn = AnyConnection::connect(&schema.url()).await.unwrap();
    for statement in [
        "UPDATE ledger_entry SET seconds = 1",
        "DELETE FROM ledger_tx",
        "TRUNCATE ledger_tx CASCADE",
        "TRUNCATE ledger_entry",
    ] {
        assert!(conn.execute(statement).await.is_err(), "{statement}");
    }
    conn.close().await.unwrap();
}
