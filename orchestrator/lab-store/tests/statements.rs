//! What the operations page costs the database: statements and rows, counted as sqlx runs them. A binary of its own: it listens to all
//! of its process.

#![allow(clippy::unwrap_used, reason = "tests; their helpers too")]

use lab_core::{
    SessionId,
    operations::RECORDER_LEASE_PREFIX,
    port::Store,
    provisioning::{FailReason, SessionEvent},
};
use lab_store::{SqlStore, StoreOptions};
use lab_testkit::contract::store::fixture::{School, at, fresh};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tracing::{
    Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// As many as the issue of that page names.
const MANY: usize = 2500;
/// Those whose start came to nothing.
const UNLUCKY: usize = 250;

/// Statements that were run, and rows that they gave.
#[derive(Clone, Default)]
struct Counted {
    statements: Arc<AtomicU64>,
    rows: Arc<AtomicU64>,
    pings: Arc<AtomicU64>,
}

impl Counted {
    /// Statements and rows so far. SQLite's thread tells of a statement after it has answered, but one after the other: what came
    /// before a ping is counted when the ping is.
    async fn so_far(&self, store: &dyn Store) -> (u64, u64) {
        let pings = self.pings.load(Ordering::SeqCst);
        store.ping().await.unwrap();
        let told = async {
            while self.pings.load(Ordering::SeqCst) == pings {
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), told).await;
        assert!(told.is_ok(), "sqlx tells of no statement");
        (self.statements.load(Ordering::SeqCst), self.rows.load(Ordering::SeqCst))
    }
}

/// Two fields of a statement's event.
#[derive(Default)]
struct Said {
    summary: String,
    rows_returned: u64,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows_returned = value;
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            value.clone_into(&mut self.summary);
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Counted {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        if said.summary == "SELECT 1" {
            self.pings.fetch_add(1, Ordering::SeqCst);
        } else {
            self.statements.fetch_add(1, Ordering::SeqCst);
            self.rows.fetch_add(said.rows_returned, Ordering::SeqCst);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_of_2500_sessions_is_a_handful_of_statements_and_rows() {
    let counted = Counted::default();
    tracing::subscriber::set_global_default(counted.clone()).unwrap();
    let store = SqlStore::open("sqlite::memory:", StoreOptions::default())
        .await
        .unwrap();
    let school = School::open(Arc::new(store)).await;
    for n in 0..MANY {
        let running = school.at_work(3600).await;
        let name = format!("{RECORDER_LEASE_PREFIX}{}", running.id);
        let holder = format!("replica-{}", n % 3);
        let ttl = Duration::from_secs(60);
        school
            .store
            .lease_take(&name, &holder, at(0), ttl)
            .await
            .unwrap()
            .unwrap();
    }
    for n in 0..UNLUCKY {
        let subject = format!("unlucky-{n}");
        school.grant(&subject, "QUALIFYING", 3600).await;
        let requested = school.admitted(&subject).await;
        let reason = FailReason::ALL[n % FailReason::ALL.len()];
        school
            .step(&requested, SessionEvent::Fail(reason, "why".into()))
            .await
            .unwrap();
    }
    let store = &school.store;
    let ask = async |name: &str, most: (u64, u64)| {
        let before = counted.so_far(store.as_ref()).await;
        match name {
            "launches_paused" => assert_eq!(store.launches_paused().await.unwrap(), None),
            "session_counts" => assert_eq!(store.session_counts().await.unwrap()[0].count, MANY as u64),
            "failure_counts" => {
                let failures = store.failure_counts(at(0)).await.unwrap();
                assert_eq!(failures.iter().map(|f| f.count).sum::<u64>(), UNLUCKY as u64);
            }
            "lease_report" => {
                let report = store.lease_report(at(1)).await.unwrap();
                assert_eq!(report.recorders.iter().map(|r| r.sessions).sum::<u64>(), MANY as u64);
            }
            _ => assert_eq!(store.ledger_sums().await.unwrap().total, 0),
        }
        let after = counted.so_far(store.as_ref()).await;
        let cost = (after.0 - before.0, after.1 - before.1);
        assert!(
            cost.0 >= 1 && cost.0 <= most.0 && cost.1 <= most.1,
            "{name}: {cost:?} statements and rows, at most {most:?}"
        );
    };
    ask("launches_paused", (1, 0)).await;
    ask("session_counts", (1, 1)).await;
    ask("failure_counts", (1, FailReason::ALL.len() as u64)).await;
    ask("lease_report", (2, 3)).await;
    ask("ledger_sums", (1, 1)).await;
    // the subscriber does count: a list has a row each
    let before = counted.so_far(store.as_ref()).await.1;
    let filter = lab_core::port::SessionFilter {
        live: true,
        limit: 100_000,
        ..Default::default()
    };
    store.session_list(&filter).await.unwrap();
    assert_eq!(counted.so_far(store.as_ref()).await.1 - before, MANY as u64);
    assert!(store.session_get(SessionId(fresh())).await.unwrap().is_none());
}
