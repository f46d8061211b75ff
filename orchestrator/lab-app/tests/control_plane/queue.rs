//! Turns: who is next, what a class keeps, and what 2 500 who wait cost.

use super::kit::Desk;
use lab_app::{
    Settings,
    provisioning::{Capacity, Turn, turns},
};
use lab_core::{
    SandboxId, SessionId, Timestamp,
    port::Session,
    provisioning::{EndReason, PoolClass, PoolSandbox, PoolSettings, PoolState, SessionState},
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

fn session(n: u32, lab: &str, state: SessionState) -> Session {
    let id = uuid::Uuid::from_u128(u128::from(n));
    let ready = state == SessionState::Ready;
    Session {
        id: SessionId(id),
        subject: format!("s{n}").as_str().into(),
        name: String::new(),
        course: "net".into(),
        lab: lab.into(),
        digest: "v1".into(),
        plan: "Q".into(),
        sandbox: SandboxId(id),
        warm: false,
        state,
        revision: 0,
        requested_at: NOW.minus(30 * MINUTE).plus(Duration::from_secs(u64::from(n))),
        ready_at: ready.then_some(NOW.minus(MINUTE)),
        over_at: None,
        ready_us: None,
        seen_us: None,
        active_at: NOW,
        deadline: ready.then_some(NOW.plus(MINUTE * n)),
        frozen_at: None,
        frozen_us: 0,
        held_secs: 0,
        billed_secs: None,
    }
}

struct Place {
    max: usize,
    live: Vec<Session>,
    pool: Vec<PoolSandbox>,
    pools: Vec<PoolSettings>,
}

impl Place {
    fn turns(&self) -> impl Fn(u32) -> Turn + use<> {
        let turns = turns(&Capacity {
            now: NOW,
            sandboxes_max: self.max,
            live: &self.live,
            pool: &self.pool,
            pools: &self.pools,
        });
        move |n| turns[&SessionId(uuid::Uuid::from_u128(u128::from(n)))]
    }
}

fn later(place: u32, minutes: Option<u32>) -> Turn {
    Turn::Later {
        place,
        by: minutes.map(|m| NOW.plus(MINUTE * m)),
    }
}

fn class(lab: &str, from: Timestamp, ready: u32) -> PoolSettings {
    let until = from.plus(60 * MINUTE);
    PoolSettings {
        lab: lab.into(),
        reserve: 0,
        max: 30,
        timetable: vec![PoolClass { from, until, ready }],
    }
}

#[test]
fn who_clicked_first_is_next_and_everyone_has_an_estimate() {
    let mut live: Vec<Session> = (1..=2).map(|n| session(n, "a", SessionState::Ready)).collect();
    live.extend((3..=7).rev().map(|n| session(n, "a", SessionState::Queued)));
    let place = Place {
        max: 3,
        live,
        pool: Vec::new(),
        pools: Vec::new(),
    };
    let turn = place.turns();
    assert_eq!(turn(3), Turn::Now);
    assert_eq!((turn(4), turn(5)), (later(1, Some(1)), later(2, Some(2))));
    // the second of the two may take three minutes (one is gone, two are left), so a round is three
    assert_eq!((turn(6), turn(7)), (later(3, Some(4)), later(4, Some(5))));
}

#[test]
fn nobody_is_next_while_pools_and_those_who_leave_fill_the_house() {
    let reason = EndReason::IdleTimeout;
    let mut place = Place {
        max: 2,
        live: vec![
            session(1, "a", SessionState::Stopping { reason }),
            session(2, "a", SessionState::Queued),
        ],
        pool: Vec::new(),
        pools: Vec::new(),
    };
    assert_eq!(place.turns()(2), Turn::Now);
    let id = uuid::Uuid::from_u128(99);
    place.pool.push(PoolSandbox {
        sandbox: SandboxId(id),
        session: SessionId(id),
        lab: "b".into(),
        digest: "v1".into(),
        state: PoolState::Draining,
        made_at: NOW,
        ready_at: None,
        ready_us: None,
        claimed_at: None,
        reason: None,
    });
    assert_eq!(place.turns()(2), later(1, None));
    // claimed: its session's, once the session is seen; until then nobody else's
    place.pool[0].state = PoolState::Claimed;
    assert_eq!(place.turns()(2), later(1, None));
    place.live.push(session(99, "b", SessionState::Provisioning));
    assert_eq!(place.turns()(2), later(1, None));
    place.live.pop();
    place.pool.clear();
    assert_eq!(place.turns()(2), Turn::Now);
}

#[test]
fn the_places_of_a_class_are_for_its_learners_from_ten_minutes_before() {
    let mut place = Place {
        max: 4,
        live: (1..=5).map(|n| session(n, "other", SessionState::Queued)).collect(),
        pool: Vec::new(),
        pools: vec![class("a", NOW.plus(11 * MINUTE), 3)],
    };
    assert_eq!(place.turns()(4), Turn::Now);
    place.pools = vec![class("a", NOW.plus(9 * MINUTE), 3)];
    let turn = place.turns();
    assert_eq!((turn(1), turn(2)), (Turn::Now, later(1, None)));

    // its learners come: before everyone who waited longer, up to its places
    for n in 21..=24 {
        let mut learner = session(n, "a", SessionState::Requested);
        learner.requested_at = NOW.plus(Duration::from_secs(u64::from(n)));
        place.live.push(learner);
    }
    let turn = place.turns();
    assert_eq!([turn(21), turn(22), turn(23)], [Turn::Now; 3]);
    assert_eq!((turn(1), turn(24)), (Turn::Now, later(5, None)));
}

#[test]
fn the_places_of_one_class_are_not_another_classs() {
    let mut live = Vec::new();
    for n in 21..=24 {
        let mut learner = session(n, "a", SessionState::Requested);
        learner.requested_at = NOW;
        live.push(learner);
    }
    let place = Place {
        max: 5,
        live,
        pool: Vec::new(),
        pools: vec![class("a", NOW, 4), class("b", NOW, 2)],
    };
    let turn = place.turns();
    assert_eq!([turn(21), turn(22), turn(23)], [Turn::Now; 3]);
    assert_eq!(turn(24), later(1, None));
}

/// A launch storm: what one look at 2 500 who wait asks of the store does not depend on how many they are, nor does what it
/// says to browsers when nothing changed.
#[tokio::test]
async fn a_look_at_2500_who_wait_costs_as_many_store_calls_as_one_at_ten() {
    let mut calls = Vec::new();
    for waiting in [10, 2500] {
        let mut desk = Desk::with(Settings {
            sandboxes_max: 2,
            ..Settings::default()
        })
        .await;
        desk.ready("first", 3600).await;
        desk.ready("second", 3600).await;
        let third = desk.click("third", 3600).await;
        let one = desk.session(third).await;
        desk.settle().await;
        for n in 0..waiting {
            let id = uuid::Uuid::from_u128(10_000 + n);
            desk.store.plant(Session {
                id: SessionId(id),
                sandbox: SandboxId(id),
                subject: format!("s{n}").as_str().into(),
                state: SessionState::Queued,
                requested_at: one.requested_at.plus(Duration::from_secs(1)),
                ..one.clone()
            });
        }
        desk.reconciler.activate().await.unwrap();
        let (before, told) = (desk.store.faults.calls_all(), desk.hubs.told_all());
        desk.reconciler.activate().await.unwrap();
        calls.push(desk.store.faults.calls_all() - before);
        assert_eq!(desk.hubs.told_all(), told, "nothing changed, nothing is said");
        assert_eq!(
            desk.hubs
                .last_notice(SessionId(uuid::Uuid::from_u128(10_000)))
                .unwrap()
                .queue,
            Some(2)
        );
    }
    assert_eq!(calls[0], calls[1]);
    assert!(calls[1] <= 3, "{calls:?}");
}

#[tokio::test]
async fn a_place_is_kept_while_a_page_is_open_and_for_ten_minutes_after() {
    let mut desk = Desk::with(Settings {
        sandboxes_max: 1,
        ..Settings::default()
    })
    .await;
    desk.ready("first", 36_000).await;
    let (stays, leaves) = (desk.click("stays", 3600).await, desk.click("leaves", 3600).await);
    desk.hubs.says(stays, |_| {});
    desk.hubs.says(leaves, |_| {});
    for _ in 0..6 {
        desk.pass(5 * MINUTE);
        desk.settle().await;
    }
    assert_eq!(desk.state(leaves).await, "queued", "its page was open all the time");
    desk.hubs.unwatched.lock().unwrap().push(leaves);
    desk.pass(8 * MINUTE);
    desk.settle().await;
    assert_eq!(desk.state(leaves).await, "queued");
    desk.pass(4 * MINUTE);
    desk.settle().await;
    assert_eq!(desk.state(leaves).await, "ended:left-queue");
    assert_eq!(desk.state(stays).await, "queued");
    assert_eq!(desk.session(leaves).await.held_secs, 0, "its time went back");
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_server_that_was_away_for_an_hour_takes_nobodys_place() {
    let mut desk = Desk::with(Settings {
        sandboxes_max: 1,
        ..Settings::default()
    })
    .await;
    desk.ready("first", 36_000).await;
    let waits = desk.click("waits", 3600).await;
    desk.settle().await;
    desk.pass(60 * MINUTE);
    desk.restart();
    desk.settle().await;
    assert_eq!(desk.state(waits).await, "queued");
}
