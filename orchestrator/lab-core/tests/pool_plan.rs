//! What a pool does next, for every situation that it must know.

use lab_core::{
    SandboxId, SessionId, Timestamp,
    port::Session,
    provisioning::{
        DrainReason, EndReason, POOL_AGE_MAX, POOL_CLAIM_KEPT, POOL_LEAD, PoolAction, PoolClass, PoolLook, PoolSandbox,
        PoolSettings, PoolState, SessionState, pool_plan,
    },
};
use proptest::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

fn pool(lab: &str, reserve: u32, max: u32) -> PoolSettings {
    PoolSettings {
        lab: lab.into(),
        reserve,
        max,
        timetable: Vec::new(),
    }
}

fn class(from: Timestamp, ready: u32) -> PoolClass {
    let until = from.plus(60 * MINUTE);
    PoolClass { from, until, ready }
}

fn row(n: u128, lab: &str, state: PoolState) -> PoolSandbox {
    let id = Uuid::from_u128(n);
    PoolSandbox {
        sandbox: SandboxId(id),
        session: SessionId(id),
        lab: lab.into(),
        digest: "v1".into(),
        state,
        made_at: NOW.minus(MINUTE),
        ready_at: None,
        ready_us: None,
        claimed_at: (state == PoolState::Claimed).then_some(NOW),
        reason: None,
    }
}

fn session(n: u128, lab: &str, state: SessionState) -> Session {
    let id = Uuid::from_u128(n);
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
        requested_at: NOW.minus(MINUTE),
        ready_at: None,
        over_at: None,
        ready_us: None,
        seen_us: None,
        active_at: NOW,
        deadline: None,
        frozen_at: None,
        frozen_us: 0,
        held_secs: 0,
        billed_secs: None,
    }
}

/// A place with `max` sandboxes, its pools, what is there, and who is.
#[derive(Debug)]
struct Place {
    max: usize,
    pools: Vec<PoolSettings>,
    rows: Vec<PoolSandbox>,
    live: Vec<Session>,
    latest: &'static str,
    paused: HashSet<lab_core::LabId>,
    failed: HashMap<SandboxId, DrainReason>,
}

impl Place {
    fn new(max: usize, pools: Vec<PoolSettings>) -> Self {
        Self {
            max,
            pools,
            rows: Vec::new(),
            live: Vec::new(),
            latest: "v1",
            paused: HashSet::new(),
            failed: HashMap::new(),
        }
    }

    fn plan_at(&self, now: Timestamp) -> Vec<PoolAction> {
        let latest = self.pools.iter().map(|p| (p.lab.clone(), self.latest.into())).collect();
        pool_plan(&PoolLook {
            now,
            sandboxes_max: self.max,
            pools: &self.pools,
            rows: &self.rows,
            live: &self.live,
            latest: &latest,
            paused: &self.paused,
            failed: &self.failed,
        })
    }

    fn plan(&self) -> Vec<PoolAction> {
        self.plan_at(NOW)
    }
}

fn made(plan: &[PoolAction], lab: &str) -> usize {
    let make = |a: &&PoolAction| matches!(a, PoolAction::Make { lab: l, .. } if l.as_str() == lab);
    plan.iter().filter(make).count()
}

fn drained(plan: &[PoolAction]) -> Vec<(u128, DrainReason)> {
    let drain = |a: &PoolAction| match a {
        PoolAction::Drain { sandbox, reason } => Some((sandbox.0.as_u128(), *reason)),
        _ => None,
    };
    plan.iter().filter_map(drain).collect()
}

#[test]
fn a_pool_grows_to_its_reserve_and_refills_after_a_claim() {
    let mut place = Place::new(40, vec![pool("a", 3, 5)]);
    assert_eq!(made(&place.plan(), "a"), 3);
    place.rows = vec![row(1, "a", PoolState::Ready), row(2, "a", PoolState::Making)];
    assert_eq!(made(&place.plan(), "a"), 1);
    place.rows.push(row(3, "a", PoolState::Ready));
    assert_eq!(place.plan(), []);
    place.rows[0].state = PoolState::Claimed;
    place.rows[0].claimed_at = Some(NOW);
    place.live = vec![session(1, "a", SessionState::Provisioning)];
    assert_eq!(made(&place.plan(), "a"), 1);
}

#[test]
fn sessions_and_pools_together_stay_below_the_most_sandboxes() {
    let mut place = Place::new(5, vec![pool("a", 4, 4), pool("b", 4, 4)]);
    let state = SessionState::Stopping {
        reason: EndReason::LearnerStopped,
    };
    place.live = vec![session(1, "c", SessionState::Ready), session(2, "c", state)];
    place.rows = vec![row(3, "a", PoolState::Ready), row(4, "a", PoolState::Draining)];
    let plan = place.plan();
    assert_eq!((made(&plan, "a"), made(&plan, "b")), (1, 0));
}

#[test]
fn an_outdated_version_drains_and_the_new_one_is_made() {
    let mut place = Place::new(40, vec![pool("a", 2, 2)]);
    place.rows = vec![row(1, "a", PoolState::Ready), row(2, "a", PoolState::Making)];
    place.latest = "v2";
    let plan = place.plan();
    assert_eq!(drained(&plan), [(1, DrainReason::Outdated), (2, DrainReason::Outdated)]);
    assert_eq!(made(&plan, "a"), 2);
}

#[test]
fn a_class_is_ready_ten_minutes_before_and_released_after() {
    let mut place = Place::new(40, vec![pool("a", 1, 30)]);
    place.pools[0].timetable = vec![class(NOW, 20)];
    let opens = NOW.minus(POOL_LEAD);
    assert_eq!(made(&place.plan_at(opens.minus(MINUTE)), "a"), 1);
    assert_eq!(made(&place.plan_at(opens), "a"), 20);
    place.rows = (1..=20).map(|n| row(n, "a", PoolState::Ready)).collect();
    assert_eq!(place.plan(), []);
    let after = place.plan_at(NOW.plus(60 * MINUTE));
    assert_eq!(drained(&after).len(), 19);
    assert!(drained(&after).iter().all(|(_, why)| *why == DrainReason::Surplus));
}

#[test]
fn who_took_a_place_of_a_class_is_not_made_up_for_but_who_began_before_it_is() {
    let mut place = Place::new(40, vec![pool("a", 0, 30)]);
    place.pools[0].timetable = vec![class(NOW, 20)];
    place.live = (1..=15).map(|n| session(n, "a", SessionState::Ready)).collect();
    assert_eq!(made(&place.plan(), "a"), 5);
    for early in &mut place.live {
        early.requested_at = NOW.minus(20 * MINUTE);
    }
    assert_eq!(made(&place.plan(), "a"), 20);
}

#[test]
fn a_learner_who_waits_comes_before_a_reserve_but_not_before_a_class() {
    let mut place = Place::new(3, vec![pool("a", 3, 3)]);
    place.rows = (1..=3).map(|n| row(n, "a", PoolState::Ready)).collect();
    place.live = vec![session(9, "b", SessionState::Queued)];
    assert_eq!(drained(&place.plan()), [(1, DrainReason::GivesWay)]);
    place.rows[0].state = PoolState::Draining;
    assert_eq!(place.plan(), [], "one is on its way out");
    place.rows[0].state = PoolState::Ready;
    place.pools[0].timetable = vec![class(NOW, 3)];
    assert_eq!(place.plan(), []);
}

#[test]
fn while_learners_wait_a_reserve_does_not_grow_and_a_class_does() {
    let mut place = Place::new(4, vec![pool("a", 4, 4)]);
    place.live = (1..=6).map(|n| session(n, "b", SessionState::Queued)).collect();
    assert_eq!(made(&place.plan(), "a"), 0);
    place.pools[0].timetable = vec![class(NOW, 4)];
    let plan = place.plan();
    assert_eq!(made(&plan, "a"), 4);
    assert!(
        plan.iter()
            .all(|a| matches!(a, PoolAction::Make { reserved: true, .. }))
    );
}

#[test]
fn old_ones_are_renewed_one_by_one_and_only_while_the_pool_is_complete() {
    let mut place = Place::new(40, vec![pool("a", 3, 3)]);
    place.rows = (1..=3).map(|n| row(n, "a", PoolState::Ready)).collect();
    for (n, row) in place.rows.iter_mut().enumerate() {
        row.made_at = NOW.minus(POOL_AGE_MAX).minus(MINUTE * (3 - n as u32));
    }
    let plan = place.plan();
    assert_eq!(drained(&plan), [(1, DrainReason::Old)]);
    place.rows[0] = row(4, "a", PoolState::Making);
    assert_eq!(place.plan(), []);
    place.rows[0].state = PoolState::Ready;
    assert_eq!(drained(&place.plan()), [(2, DrainReason::Old)]);
}

#[test]
fn what_is_known_to_be_useless_goes_and_a_lab_that_fails_is_left_alone_for_a_while() {
    let mut place = Place::new(40, vec![pool("a", 2, 2)]);
    place.rows = vec![row(1, "a", PoolState::Ready), row(2, "gone", PoolState::Ready)];
    place.failed.insert(place.rows[0].sandbox, DrainReason::Lost);
    place.paused.insert("a".into());
    assert_eq!(
        place.plan(),
        [
            PoolAction::Drain {
                sandbox: place.rows[0].sandbox,
                reason: DrainReason::Lost
            },
            PoolAction::Drain {
                sandbox: place.rows[1].sandbox,
                reason: DrainReason::Surplus
            },
        ]
    );
}

#[test]
fn a_claimed_row_is_kept_for_those_who_read_the_sessions_before_the_claim() {
    let mut place = Place::new(40, vec![pool("a", 0, 1)]);
    place.rows = vec![row(1, "a", PoolState::Claimed)];
    assert_eq!(place.plan(), []);
    let sandbox = place.rows[0].sandbox;
    assert_eq!(
        place.plan_at(NOW.plus(POOL_CLAIM_KEPT)),
        [PoolAction::Forget { sandbox }]
    );
}

fn state() -> impl Strategy<Value = PoolState> {
    prop::sample::select(PoolState::ALL)
}

fn place() -> impl Strategy<Value = Place> {
    let lab = || prop::sample::select(vec!["a", "b"]);
    let rows = prop::collection::vec((lab(), state(), 0..600_i64), 0..12);
    let states = prop::sample::select(vec![
        SessionState::Requested,
        SessionState::Queued,
        SessionState::Provisioning,
        SessionState::Ready,
    ]);
    let live = prop::collection::vec((lab(), states), 0..12);
    let pools = (0..5_u32, 0..5_u32, 0..6_u32, 0..6_u32, any::<bool>());
    (1..16_usize, pools, rows, live).prop_map(|(max, (ra, rb, ca, cb, renamed), rows, live)| {
        let mut pools = vec![pool("a", ra, 5), pool("b", rb, 5)];
        pools[0].timetable = vec![class(NOW, ca)];
        pools[1].timetable = vec![class(NOW.plus(5 * MINUTE), cb)];
        let mut place = Place::new(max, pools);
        place.latest = if renamed { "v2" } else { "v1" };
        for (n, (lab, state, age)) in (1..).zip(rows) {
            let mut row = row(n, lab, state);
            row.made_at = NOW.minus(Duration::from_mins(age.unsigned_abs()));
            place.rows.push(row);
        }
        place.live = (100..)
            .zip(live)
            .map(|(n, (lab, state))| session(n, lab, state))
            .collect();
        place
    })
}

proptest! {
    /// Carried out again and again with everything succeeding, a plan ends: nothing is made to be drained, or drained to be made.
    #[test]
    fn every_situation_comes_to_rest_below_every_limit(mut place in place()) {
        let mut settled = false;
        let mut next = 1000;
        let over_before = place.rows.iter().filter(|r| r.state != PoolState::Claimed).count()
            + place.live.iter().filter(|s| s.state.wants_sandbox()).count() > place.max;
        for _ in 0..40 {
            let plan = place.plan_at(NOW.plus(POOL_CLAIM_KEPT));
            if plan.is_empty() && place.rows.iter().all(|r| r.state == PoolState::Ready) {
                settled = true;
                break;
            }
            place.rows.retain(|r| r.state != PoolState::Draining);
            for row in place.rows.iter_mut().filter(|r| r.state == PoolState::Making) {
                row.state = PoolState::Ready;
            }
            for action in plan {
                match action {
                    PoolAction::Make { lab, digest, .. } => {
                        next += 1;
                        let mut row = row(next, lab.as_str(), PoolState::Making);
                        row.digest = digest;
                        place.rows.push(row);
                    }
                    PoolAction::Drain { sandbox, .. } => {
                        let row = place.rows.iter_mut().find(|r| r.sandbox == sandbox);
                        if let Some(row) = row {
                            row.state = PoolState::Draining;
                        }
                    }
                    PoolAction::Forget { sandbox } => place.rows.retain(|r| r.sandbox != sandbox),
                }
            }
            let all = place.rows.iter().filter(|r| r.state != PoolState::Claimed).count()
                + place.live.iter().filter(|s| s.state.wants_sandbox()).count();
            prop_assert!(over_before || all <= place.max, "{all} of {}", place.max);
        }
        prop_assert!(settled, "{:?}", place.rows);
        for pool in &place.pools {
            prop_assert!(place.rows.iter().filter(|r| r.lab == pool.lab).count() <= pool.max as usize);
        }
    }
}
