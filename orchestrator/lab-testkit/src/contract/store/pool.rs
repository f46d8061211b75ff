//! Warm pools: rows under a lease, and the claim of a click.

use super::fixture::{School, at, at_once, fresh, lab};
use lab_core::{
    LabDigest, SandboxId, SessionId,
    entitlement::TEST_RUN_COURSE,
    port::{Admission, AdmitRequest, ErrorKind, Lease, POOL_LEASE, PoolChange, PoolWrite, Session, Store, StoreError},
    provisioning::{DrainReason, PoolSandbox, PoolState, SessionState},
};
use std::{sync::Arc, time::Duration};

/// A school whose pools this test keeps.
struct Pool {
    school: School,
    lease: Lease,
}

impl Pool {
    async fn open(store: Arc<dyn Store>) -> Self {
        let school = School::open(store).await;
        let lease = take(&school, "keeper").await;
        Self { school, lease }
    }

    async fn write(&self, change: PoolChange) -> Result<bool, StoreError> {
        let epoch = self.lease.epoch;
        self.school.store.pool_write(&PoolWrite { epoch, change }).await
    }

    fn row(&self, digest: &LabDigest, made: i64) -> PoolSandbox {
        PoolSandbox {
            sandbox: SandboxId(fresh()),
            session: SessionId(fresh()),
            lab: self.school.lab.clone(),
            digest: digest.clone(),
            state: PoolState::Making,
            made_at: at(made),
            ready_at: None,
            ready_us: None,
            claimed_at: None,
            reason: None,
        }
    }

    async fn make(&self, row: &PoolSandbox, sandboxes_max: u32, reserved: bool) -> bool {
        let row = row.clone();
        let make = PoolChange::Make {
            row,
            sandboxes_max,
            reserved,
        };
        self.write(make).await.unwrap()
    }

    /// A ready sandbox of a version.
    async fn ready(&self, digest: &LabDigest, made: i64) -> PoolSandbox {
        let row = self.row(digest, made);
        assert!(self.make(&row, 1000, true).await);
        assert!(self.to_ready(row.sandbox).await);
        row
    }

    async fn to_ready(&self, sandbox: SandboxId) -> bool {
        let (at, ready_us) = (at(1), 2_000_000);
        self.write(PoolChange::Ready { sandbox, at, ready_us }).await.unwrap()
    }

    async fn drain(&self, sandbox: SandboxId) -> bool {
        let reason = DrainReason::Surplus;
        self.write(PoolChange::Drain { sandbox, reason }).await.unwrap()
    }

    async fn forget(&self, sandbox: SandboxId) -> bool {
        self.write(PoolChange::Forget { sandbox, at: at(60) }).await.unwrap()
    }

    /// A learner of their own clicks.
    async fn click(&self) -> Session {
        let subject = format!("learner-{}", fresh());
        self.school.grant(&subject, "QUALIFYING", 3600).await;
        self.school.admitted(&subject).await
    }

    async fn states(&self) -> Vec<PoolState> {
        let rows = self.school.store.pool_list().await.unwrap();
        rows.iter().map(|r| r.state).collect()
    }
}

async fn take(school: &School, holder: &str) -> Lease {
    let ttl = Duration::from_secs(15);
    let lease = school.store.lease_take(POOL_LEASE, holder, at(0), ttl).await.unwrap();
    lease.expect("the lease is free")
}

pub async fn a_pool_sandbox_is_made_then_ready_then_a_learners_and_never_again_anyone_elses(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    let row = pool.row(&pool.school.digest, 0);
    assert!(pool.make(&row, 10, false).await);
    assert!(!pool.make(&row, 10, false).await, "a repeat");
    assert_eq!(pool.school.store.pool_list().await.unwrap(), std::slice::from_ref(&row));
    assert!(!pool.click().await.warm, "one that is not ready is nobody's");
    assert!(!pool.forget(row.sandbox).await);

    assert!(pool.to_ready(row.sandbox).await);
    assert!(!pool.to_ready(row.sandbox).await);
    let session = pool.click().await;
    assert_eq!(
        (session.warm, session.id, session.sandbox),
        (true, row.session, row.sandbox)
    );
    let rows = pool.school.store.pool_list().await.unwrap();
    let times = (rows[0].ready_at, rows[0].ready_us, rows[0].claimed_at);
    assert_eq!(times, (Some(at(1)), Some(2_000_000), Some(at(0))));
    assert_eq!(rows[0].state, PoolState::Claimed);

    assert!(!pool.to_ready(row.sandbox).await && !pool.drain(row.sandbox).await);
    assert!(!pool.click().await.warm);
    assert!(pool.forget(row.sandbox).await && !pool.forget(row.sandbox).await);
    assert_eq!(pool.states().await, []);
}

pub async fn a_warm_session_has_its_place_and_its_time_at_once(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    pool.ready(&pool.school.digest, 0).await;
    let session = pool.click().await;
    assert_eq!((&session.state, session.revision), (&SessionState::Provisioning, 1));
    assert_eq!((session.held_secs, session.requested_at), (900, at(0)));
    let store = &pool.school.store;
    assert_eq!(store.session_get(session.id).await.unwrap().as_ref(), Some(&session));
    let history = store.session_history(session.id).await.unwrap();
    let told: Vec<_> = history.iter().map(|r| (r.state.name(), r.cause.as_str())).collect();
    assert_eq!(told, [("requested", "learner"), ("provisioning", "pool")]);
    let again = store
        .admit(&pool.school.click(session.subject.as_str(), "tiny"))
        .await
        .unwrap();
    assert_eq!(again, Admission::Running(session));
    assert_eq!(store.ledger_sums().await.unwrap().total, 0);
}

pub async fn of_fifty_clicks_at_once_on_ten_ready_ones_exactly_ten_are_warm(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    for n in 0..10 {
        pool.ready(&pool.school.digest, n).await;
    }
    let clicks: Vec<_> = {
        let mut clicks = Vec::new();
        for n in 0..50 {
            let subject = format!("learner-{n}");
            pool.school.grant(&subject, "QUALIFYING", 3600).await;
            clicks.push(pool.school.click(&subject, "tiny"));
        }
        clicks
    };
    let sessions = at_once(50, |n| {
        let (store, click) = (pool.school.store.clone(), clicks[n].clone());
        async move {
            match store.admit(&click).await.unwrap() {
                Admission::Admitted(session) => session,
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let warm: Vec<_> = sessions.iter().filter(|s| s.warm).collect();
    assert_eq!(warm.len(), 10);
    let mut sandboxes: Vec<_> = sessions.iter().map(|s| s.sandbox).collect();
    sandboxes.sort_unstable();
    sandboxes.dedup();
    assert_eq!(sandboxes.len(), 50, "no sandbox has two learners");
    assert_eq!(pool.states().await, [PoolState::Claimed; 10]);
}

pub async fn a_click_gets_the_newest_version_and_of_it_the_oldest_sandbox(store: Arc<dyn Store>) {
    let mut pool = Pool::open(store).await;
    let old = pool.school.digest.clone();
    pool.ready(&old, 0).await;
    let newer = lab("tiny", "two hosts");
    pool.school.store.lab_publish(&newer, at(2)).await.unwrap();
    pool.school.digest = newer.digest.clone();
    assert!(!pool.click().await.warm, "an older version is not what was clicked");
    let (second, first) = (pool.ready(&newer.digest, 20).await, pool.ready(&newer.digest, 10).await);
    assert_eq!(pool.click().await.sandbox, first.sandbox);
    assert_eq!(pool.click().await.sandbox, second.sandbox);
}

pub async fn a_click_that_is_refused_claims_nothing(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    pool.ready(&pool.school.digest, 0).await;
    pool.school.grant("poor", "QUALIFYING", 10).await;
    let refused = pool
        .school
        .store
        .admit(&pool.school.click("poor", "tiny"))
        .await
        .unwrap();
    assert!(matches!(refused, Admission::Refused(_)), "{refused:?}");
    assert_eq!(pool.states().await, [PoolState::Ready]);
}

pub async fn a_claim_and_a_drain_at_once_have_one_winner(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    for round in 0..10 {
        let row = pool.ready(&pool.school.digest, round).await;
        let subject = format!("learner-{round}");
        pool.school.grant(&subject, "QUALIFYING", 3600).await;
        let click = pool.school.click(&subject, "tiny");
        let epoch = pool.lease.epoch;
        let answers = at_once(2, |n| {
            let (store, click, sandbox) = (pool.school.store.clone(), click.clone(), row.sandbox);
            async move {
                if n == 0 {
                    let reason = DrainReason::GivesWay;
                    let change = PoolChange::Drain { sandbox, reason };
                    store.pool_write(&PoolWrite { epoch, change }).await.unwrap()
                } else {
                    matches!(store.admit(&click).await.unwrap(), Admission::Admitted(s) if s.warm)
                }
            }
        })
        .await;
        assert!(
            answers[0] != answers[1],
            "drained: {}, claimed: {}",
            answers[0],
            answers[1]
        );
        assert!(pool.forget(row.sandbox).await);
    }
}

pub async fn a_keeper_that_lost_the_pools_writes_nothing_any_more(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    let row = pool.ready(&pool.school.digest, 0).await;
    pool.school.store.lease_release(&pool.lease).await.unwrap();
    let next = take(&pool.school, "another").await;
    assert!(next.epoch > pool.lease.epoch);
    let (sandbox, reason) = (row.sandbox, DrainReason::Surplus);
    for change in [
        PoolChange::Make {
            row: pool.row(&pool.school.digest, 1),
            sandboxes_max: 10,
            reserved: true,
        },
        PoolChange::Drain { sandbox, reason },
        PoolChange::Forget { sandbox, at: at(60) },
    ] {
        let refused = pool.write(change).await.unwrap_err();
        assert!(matches!(refused, StoreError::Fenced { .. }), "{refused:?}");
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
    assert_eq!(pool.states().await, [PoolState::Ready]);
}

pub async fn a_pool_grows_only_where_there_is_room(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    let row = || pool.row(&pool.school.digest, 0);
    assert!(!pool.make(&row(), 0, true).await);
    let working = pool.click().await;
    pool.school.ready(&working).await;
    let waiting = pool.click().await;
    assert_eq!(waiting.state, SessionState::Requested);
    assert!(!pool.make(&row(), 2, false).await, "one works, one waits");
    assert!(pool.make(&row(), 2, true).await, "a class comes before who waits");
    assert!(!pool.make(&row(), 2, true).await);
    assert!(pool.make(&row(), 4, false).await);
    assert!(!pool.make(&row(), 4, false).await);
    assert_eq!(pool.states().await, [PoolState::Making; 2]);
}

pub async fn a_test_run_takes_no_warm_sandbox_from_learners(store: Arc<dyn Store>) {
    let pool = Pool::open(store).await;
    let digest = pool.school.digest.clone();
    let warm = pool.ready(&digest, 0).await;
    let request = AdmitRequest {
        course: TEST_RUN_COURSE.into(),
        test_run: true,
        ..pool.school.click("curie", "tiny")
    };
    let Admission::Admitted(tried) = pool.school.store.admit(&request).await.unwrap() else {
        panic!("no test run began");
    };
    assert!(!tried.warm && tried.sandbox != warm.sandbox);
    assert_eq!(pool.click().await.sandbox, warm.sandbox);
}
