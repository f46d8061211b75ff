//! Whoever asks what is kept of them is told of every table that names them; and a new table has to say how, or why not.

use crate::{
    privacy::{COLUMNS, Of},
    sqlite,
    traces::{SUBJECT, traces},
};
use lab_core::{
    Subject,
    port::{SessionFilter, Store},
};
use lab_store::{SqlStore, StoreOptions};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Tables that name people and of which an export holds no rows, and why that is right.
const NOT_TOLD: &[(&str, &str)] = &[
    (
        "alert",
        "mail to whoever pays, that lab time ran low; what it counts is in the ledger",
    ),
    ("alert_outbox", "that such a mail is on its way"),
    (
        "launch_pause",
        "what somebody did in their office, in the whole installation",
    ),
    (
        "lti_attempt",
        "words of a platform that was refused, of nobody in particular; gone after 500 others",
    ),
    ("session_transition", "told with its session, as its history"),
    ("ticket", "thirty seconds of a socket that is being opened"),
    ("voucher_guess", "how many wrong codes in the last hour"),
];

/// Rows of each table that the export's questions answer with: what `lab-app/src/privacy/export` asks, and nothing else.
async fn told(store: &dyn Store, subject: &Subject) -> BTreeMap<&'static str, usize> {
    let filter = SessionFilter {
        subject: Some(subject.clone()),
        ..SessionFilter::default()
    };
    let sessions = store.session_list(&filter).await.unwrap();
    let mut checks = 0;
    for session in &sessions {
        checks += store.check_list(session.id).await.unwrap().len();
    }
    let traces = store.person_traces(subject).await.unwrap();
    BTreeMap::from([
        ("session", sessions.len()),
        ("check_outcome", checks),
        ("lab_grant", store.grant_list(subject, None).await.unwrap().len()),
        ("grade", store.grade_of(subject).await.unwrap().len()),
        ("login", traces.logins.len()),
        ("notice_ack", traces.notices.len()),
        ("enrolment", traces.enrolments.len()),
        ("voucher", traces.vouchers.len()),
        ("same_person", traces.aliases.len()),
        ("course_extension", traces.extensions.len()),
        ("grant_withheld", traces.withheld.len()),
        // those of their sessions too, which name nobody
        ("audit", store.looks(subject, None, None).await.unwrap().len()),
    ])
}

/// Rows of a table in which a column that names people names this one; of outcomes of checks, all: they are of somebody's session.
async fn naming(conn: &mut AnyConnection, table: &str, columns: &[&str]) -> usize {
    let named: Vec<String> = columns.iter().map(|c| format!("{c} LIKE '%{SUBJECT}%'")).collect();
    let condition = if table == "check_outcome" {
        "1 = 1".to_owned()
    } else {
        named.join(" OR ")
    };
    // names of the schema's own, and a constant
    let statement = AssertSqlSafe(format!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM \"{table}\" WHERE {condition}"
    ));
    let row = sqlx::query(statement).fetch_one(conn).await.unwrap();
    usize::try_from(row.get::<i64, _>(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_of_every_table_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite::url(folder.path());
    let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
    traces(store.clone()).await;
    let told = told(store.as_ref(), &SUBJECT.into()).await;
    let excused: BTreeSet<&str> = NOT_TOLD.iter().map(|(table, _)| *table).collect();
    let mut conn = AnyConnection::connect(&url).await.unwrap();
    for (table, columns) in COLUMNS {
        let columns: Vec<&str> = columns
            .iter()
            .filter(|(_, of)| *of == Of::Person)
            .map(|(c, _)| *c)
            .collect();
        if columns.is_empty() || excused.contains(table) {
            assert!(!told.contains_key(table), "{table} is told, and excused too");
            continue;
        }
        let told = told.get(table).unwrap_or_else(|| {
            panic!(
                "{table} names people: have the export tell it (lab-app/src/privacy/export, Traces and Footprint in \
                 lab-core/src/privacy/person.rs) and count it here, or say in NOT_TOLD why not"
            )
        });
        let there = naming(&mut conn, table, &columns).await;
        assert!(
            there > 0,
            "`traces` leaves nothing in {table}: this test would miss that it is not told"
        );
        let more = *table == "audit" && *told > there;
        assert!(
            *told == there || more,
            "{table} has {there} rows of them, and {told} are told"
        );
    }
    conn.close().await.unwrap();
    store.close().await;
}
