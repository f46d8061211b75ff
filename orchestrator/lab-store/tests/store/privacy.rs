//! Who is forgotten is in no column of either database; and a new column has to say whether it names people.

use crate::{
    postgres::Schema,
    sqlite,
    traces::{NAME, SUBJECT, TEACHER, TEACHER_NAME, traces},
};
use lab_core::{
    port::{PrivacyStore as _, Store},
    privacy::{Erased, Erasure, pseudonym},
};
use lab_store::{SqlStore, StoreOptions};
use lab_testkit::contract::store::fixture::at;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use std::{collections::BTreeMap, sync::Arc};

/// What erasure does about a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Says nothing of a person: ids of ours, codes, names of labs and courses.
    Nobody,
    /// Of whoever is forgotten it is deleted, or says the pseudonym.
    Person,
    /// Words that operations type, and must not name anybody in (docs/privacy.md).
    Words,
    /// Gone within minutes by itself.
    Moment,
}

/// Every text column there is. A migration that adds one adds it here, and, where it is of a person, to `src/privacy/erase.rs`.
pub const COLUMNS: &[(&str, &[(&str, Of)])] = &[
    (
        "alert",
        &[("id", Of::Person), ("line", Of::Person), ("body", Of::Person)],
    ),
    (
        "alert_outbox",
        &[("alert", Of::Person), ("channel", Of::Nobody), ("code", Of::Nobody)],
    ),
    (
        "audit",
        &[
            ("actor", Of::Person),
            ("actor_name", Of::Person),
            ("role", Of::Nobody),
            ("action", Of::Nobody),
            ("session", Of::Nobody),
            ("detail", Of::Words),
            ("course", Of::Nobody),
            ("about", Of::Person),
        ],
    ),
    ("budget", &[("kind", Of::Nobody), ("id", Of::Nobody)]),
    (
        "check_outcome",
        &[
            ("session", Of::Nobody),
            ("check_id", Of::Person),
            ("detail", Of::Person),
        ],
    ),
    (
        "cost",
        &[
            ("id", Of::Nobody),
            ("account", Of::Nobody),
            ("sandbox", Of::Nobody),
            ("session", Of::Nobody),
            ("lab", Of::Nobody),
            ("version", Of::Nobody),
        ],
    ),
    ("course", &[("id", Of::Nobody), ("title", Of::Nobody)]),
    (
        "course_rule",
        &[
            ("course", Of::Nobody),
            ("first_week", Of::Nobody),
            ("second_week", Of::Nobody),
            ("labs", Of::Nobody),
        ],
    ),
    ("course_series", &[("series", Of::Nobody), ("course", Of::Nobody)]),
    (
        "giver",
        &[("source", Of::Nobody), ("plans", Of::Nobody), ("site", Of::Nobody)],
    ),
    (
        "grade",
        &[
            ("registration", Of::Person),
            ("platform_user", Of::Person),
            ("place", Of::Person),
            ("subject", Of::Person),
            ("course", Of::Person),
            ("lab", Of::Person),
            ("title", Of::Person),
            ("resource_link", Of::Person),
            ("address", Of::Person),
            ("line_item", Of::Person),
            ("state", Of::Person),
            ("code", Of::Person),
            ("detail", Of::Person),
        ],
    ),
    (
        "grade_line_item",
        &[
            ("registration", Of::Nobody),
            ("line_items", Of::Nobody),
            ("lab", Of::Nobody),
            ("line_item", Of::Nobody),
        ],
    ),
    (
        "grant_withheld",
        &[
            ("subject", Of::Person),
            ("course", Of::Person),
            ("plan", Of::Person),
            ("why", Of::Person),
        ],
    ),
    ("lab", &[("id", Of::Nobody), ("latest", Of::Nobody)]),
    (
        "lab_grant",
        &[
            ("id", Of::Nobody),
            ("subject", Of::Person),
            ("course", Of::Nobody),
            ("plan", Of::Nobody),
            ("source", Of::Nobody),
            ("voided_reason", Of::Words),
            ("sponsor", Of::Nobody),
            ("site", Of::Nobody),
        ],
    ),
    (
        "course_class",
        &[("course", Of::Nobody), ("lab", Of::Nobody), ("room", Of::Nobody)],
    ),
    (
        "course_run",
        &[("course", Of::Nobody), ("zone", Of::Nobody), ("site", Of::Nobody)],
    ),
    ("course_extension", &[("course", Of::Nobody), ("subject", Of::Person)]),
    (
        "enrolment",
        &[
            ("course", Of::Nobody),
            ("subject", Of::Person),
            ("name", Of::Person),
            ("cohort", Of::Person),
            ("site", Of::Person),
            ("coach", Of::Person),
            ("external", Of::Person),
            ("plan", Of::Person),
        ],
    ),
    (
        "lab_order",
        &[
            ("shop", Of::Nobody),
            ("number", Of::Words),
            ("order_key", Of::Nobody),
            ("grant_id", Of::Nobody),
            ("cancelled_reason", Of::Words),
        ],
    ),
    (
        "lab_version",
        &[
            ("digest", Of::Nobody),
            ("lab", Of::Nobody),
            ("source", Of::Nobody),
            ("file", Of::Nobody),
        ],
    ),
    (
        "launch_pause",
        &[("reason", Of::Words), ("actor", Of::Person), ("actor_name", Of::Person)],
    ),
    ("launch_used", &[("id", Of::Nobody)]),
    ("lease", &[("name", Of::Nobody), ("holder", Of::Nobody)]),
    ("ledger_entry", &[("tx", Of::Nobody), ("account", Of::Nobody)]),
    ("ledger_sum", &[("kind", Of::Nobody), ("shard", Of::Nobody)]),
    (
        "ledger_tx",
        &[
            ("id", Of::Nobody),
            ("key", Of::Nobody),
            ("kind", Of::Nobody),
            ("session", Of::Nobody),
            ("reason", Of::Words),
        ],
    ),
    (
        "login",
        &[
            ("id", Of::Person),
            ("subject", Of::Person),
            ("name", Of::Person),
            ("role", Of::Person),
            ("course", Of::Person),
            ("lab", Of::Person),
            ("plan", Of::Person),
            ("sponsor", Of::Person),
        ],
    ),
    (
        "lti_attempt",
        &[
            ("registration", Of::Nobody),
            ("platform", Of::Nobody),
            ("version", Of::Nobody),
            ("code", Of::Nobody),
            ("detail", Of::Person),
        ],
    ),
    (
        "lti_invitation",
        &[
            ("id", Of::Nobody),
            ("course", Of::Nobody),
            ("plan", Of::Nobody),
            ("product", Of::Nobody),
            ("issuer", Of::Nobody),
            ("client_id", Of::Nobody),
            ("settings", Of::Nobody),
        ],
    ),
    ("lti_launched", &[("registration", Of::Nobody)]),
    ("lti_key", &[("kid", Of::Nobody), ("private", Of::Nobody)]),
    (
        "lti_registration",
        &[
            ("id", Of::Nobody),
            ("course", Of::Nobody),
            ("plan", Of::Nobody),
            ("issuer", Of::Nobody),
            ("client_id", Of::Nobody),
            ("consumer_key", Of::Nobody),
            ("settings", Of::Nobody),
        ],
    ),
    (
        "lti_roster",
        &[
            ("registration", Of::Nobody),
            ("course", Of::Nobody),
            ("url", Of::Nobody),
        ],
    ),
    (
        "same_person",
        &[("alias", Of::Person), ("subject", Of::Person), ("said_by", Of::Person)],
    ),
    // the hint of who is about to log in
    (
        "lti_state",
        &[
            ("registration", Of::Nobody),
            ("target", Of::Moment),
            ("initiation", Of::Moment),
        ],
    ),
    ("notice_ack", &[("subject", Of::Person), ("version", Of::Person)]),
    (
        "order_key",
        &[
            ("id", Of::Nobody),
            ("shop", Of::Nobody),
            ("key", Of::Nobody),
            ("courses", Of::Nobody),
            ("plans", Of::Nobody),
            ("sponsor", Of::Nobody),
            ("site", Of::Nobody),
        ],
    ),
    (
        "plan",
        &[
            ("id", Of::Nobody),
            ("name_en", Of::Nobody),
            ("name_fr", Of::Nobody),
            ("features", Of::Nobody),
            ("offer", Of::Nobody),
        ],
    ),
    (
        "pool_sandbox",
        &[
            ("sandbox", Of::Nobody),
            ("session", Of::Nobody),
            ("lab", Of::Nobody),
            ("digest", Of::Nobody),
            ("state", Of::Nobody),
            ("reason", Of::Nobody),
            ("rate_version", Of::Nobody),
        ],
    ),
    ("rate_card", &[("size", Of::Nobody), ("version", Of::Nobody)]),
    ("reconciliation", &[("lines", Of::Nobody)]),
    (
        "recording",
        &[
            ("session", Of::Nobody),
            ("state", Of::Nobody),
            ("state_reason", Of::Nobody),
        ],
    ),
    ("recording_chunk", &[("session", Of::Nobody), ("key", Of::Nobody)]),
    ("retention_run", &[("class", Of::Nobody)]),
    ("schema_version", &[("name", Of::Nobody)]),
    (
        "session",
        &[
            ("id", Of::Nobody),
            ("subject", Of::Person),
            ("name", Of::Person),
            ("course", Of::Nobody),
            ("lab", Of::Nobody),
            ("digest", Of::Nobody),
            ("plan", Of::Nobody),
            ("sandbox", Of::Nobody),
            ("state", Of::Nobody),
            ("reason", Of::Nobody),
            ("detail", Of::Nobody),
            ("rate_version", Of::Nobody),
        ],
    ),
    (
        "session_transition",
        &[
            ("session", Of::Nobody),
            ("state", Of::Nobody),
            ("reason", Of::Nobody),
            ("detail", Of::Nobody),
            ("cause", Of::Person),
        ],
    ),
    ("ticket", &[("login", Of::Person), ("scope", Of::Person)]),
    ("usage", &[("session", Of::Nobody), ("unbilled_reason", Of::Nobody)]),
    (
        "voucher",
        &[
            ("batch", Of::Nobody),
            ("redeemed_by", Of::Person),
            ("grant_id", Of::Nobody),
        ],
    ),
    (
        "voucher_batch",
        &[
            ("id", Of::Nobody),
            ("label", Of::Words),
            ("course", Of::Nobody),
            ("plan", Of::Nobody),
            ("key", Of::Nobody),
            ("revoked_reason", Of::Words),
            ("sponsor", Of::Nobody),
        ],
    ),
    ("site", &[("id", Of::Nobody), ("kind", Of::Nobody)]),
    (
        "site_brand",
        &[("site", Of::Nobody), ("en", Of::Words), ("fr", Of::Words)],
    ),
    ("voucher_guess", &[("subject", Of::Person)]),
    ("voucher_terms", &[("batch", Of::Nobody), ("terms", Of::Words)]),
];

/// Text columns by table, as the database has them.
async fn text_columns(conn: &mut AnyConnection, url: &str, schema: &str) -> BTreeMap<String, Vec<String>> {
    let statement = if url.starts_with("sqlite") {
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.type = 'TEXT' AND $1 <> ''"
    } else {
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
         WHERE table_schema = $1 AND data_type = 'text'"
    };
    let rows = sqlx::query(statement)
        .bind(schema.to_owned())
        .fetch_all(conn)
        .await
        .unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for r in &rows {
        found.entry(r.get(0)).or_default().push(r.get(1));
    }
    found
}

/// `table.column: text` of every text there is.
async fn every_text(conn: &mut AnyConnection, columns: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut texts = Vec::new();
    for (table, names) in columns {
        for name in names {
            let statement = format!("SELECT CAST({name} AS TEXT) FROM \"{table}\" WHERE {name} IS NOT NULL");
            // both names are the schema's own
            let rows = sqlx::query(AssertSqlSafe(statement))
                .fetch_all(&mut *conn)
                .await
                .unwrap();
            texts.extend(
                rows.iter()
                    .map(|r| format!("{table}.{name}: {}", r.get::<String, _>(0))),
            );
        }
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_is_in_no_column_of_either_database() {
    let (folder, schema) = (tempfile::tempdir().unwrap(), Schema::create().await);
    for url in [sqlite::url(folder.path()), schema.url()] {
        let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
        traces(store.clone()).await;
        let mut conn = AnyConnection::connect(&url).await.unwrap();
        let columns = text_columns(&mut conn, &url, &schema.name).await;
        let named = |texts: &[String]| -> Vec<String> {
            let who = [SUBJECT, NAME, TEACHER, TEACHER_NAME];
            let of = |t: &&String| who.iter().any(|w| t.contains(w));
            texts.iter().filter(of).cloned().collect()
        };
        let before = named(&every_text(&mut conn, &columns).await);
        let tables: std::collections::BTreeSet<_> = before.iter().map(|t| t.split(':').next().unwrap()).collect();
        assert!(
            tables.len() >= 20,
            "a trace in each column that can have one: {tables:?}"
        );
        let sums = store.ledger_recount().await.unwrap();
        for (n, subject) in [SUBJECT, TEACHER].into_iter().enumerate() {
            let erasure = Erasure {
                subject: subject.into(),
                pseudonym: pseudonym([n as u8; 32]),
                by: "cli".into(),
                by_name: "labwire person".into(),
                at: at(100),
            };
            let done = store.person_erase(&erasure).await.unwrap();
            assert!(matches!(done, Erased::Done(f) if !f.is_empty()), "{done:?}");
        }
        assert_eq!(named(&every_text(&mut conn, &columns).await), Vec::<String>::new());
        assert_eq!(store.ledger_recount().await.unwrap(), sums);
        assert_eq!(store.ledger_sums().await.unwrap(), sums);
        conn.close().await.unwrap();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_column_says_whether_it_names_people() {
    let (folder, schema) = (tempfile::tempdir().unwrap(), Schema::create().await);
    let known: BTreeMap<_, _> = COLUMNS.iter().copied().collect();
    for url in [sqlite::url(folder.path()), schema.url()] {
        SqlStore::open(&url, StoreOptions::default())
            .await
            .unwrap()
            .close()
            .await;
        let mut conn = AnyConnection::connect(&url).await.unwrap();
        let there = text_columns(&mut conn, &url, &schema.name).await;
        for (table, columns) in &there {
            let said = known
                .get(table.as_str())
                .unwrap_or_else(|| panic!("say in COLUMNS what of {table} names people, and erase it"));
            for column in columns {
                assert!(
                    said.iter().any(|(name, _)| name == column),
                    "say in COLUMNS whether {table}.{column} names people; if it does, erase it in src/privacy/erase.rs"
                );
            }
        }
        conn.close().await.unwrap();
    }
    let words = COLUMNS.iter().flat_map(|(_, c)| *c).filter(|(_, of)| *of == Of::Words);
    assert_eq!(words.count(), 11, "docs/privacy.md names those that operations write");
}
