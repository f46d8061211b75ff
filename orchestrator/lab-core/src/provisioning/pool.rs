//! Warm pools: sandboxes made before the click. What a pool should be, given everything that is known; pure.
//!
//! ```text
//!            agent is ready               a click                 its row is not needed any more
//!   making ────────────────► ready ────────────────► claimed ─────────────────────────────────► (no row)
//!      │                       │     compare-and-set                                               ▲
//!      └──────────┬────────────┘                                                                   │
//!                 ▼  outdated, old, too many, in a learner's way, lost, not ready in time          │
//!              draining ─────────────────────────── sandbox dropped ───────────────────────────────┘
//! ```
//! The row is written before the sandbox is made and goes after the sandbox is dropped, so whatever dies in between leaves
//! something that the next look finishes. A pool sandbox serves one learner or none: no arrow leads back to `ready`.

use super::SessionState;
use crate::{LabDigest, LabId, SandboxId, SessionId, Timestamp, port::Session};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

/// A class's sandboxes are ready so long before it begins: thirty of them take about 25 s of a two-CPU machine, and a node
/// autoscaler that must find three machines first takes three to five minutes.
pub const POOL_LEAD: Duration = Duration::from_mins(10);

/// A sandbox that waits longer is replaced: it runs programs, whose memory and logs grow, and its own deadline must outlast
/// the wait. Six hours: what was made before breakfast is new again for the afternoon; the price is a start a quarter of a
/// day for each that nobody took.
pub const POOL_AGE_MAX: Duration = Duration::from_hours(6);

/// The row of a claimed sandbox stays so long, for those who read the sessions just before the claim and the pool just after.
/// Two reads of one activation are milliseconds apart; a store that answers slowly gives up after 10 s.
pub const POOL_CLAIM_KEPT: Duration = Duration::from_secs(15);

/// How many sandboxes of one lab are kept warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    pub lab: LabId,
    /// Ready at any time, where there is room.
    pub reserve: u32,
    /// Never more than so many warm at once.
    pub max: u32,
    pub timetable: Vec<PoolClass>,
}

/// A scheduled class: `ready` places from ten minutes before `from` ([`POOL_LEAD`]) until `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolClass {
    pub from: Timestamp,
    pub until: Timestamp,
    pub ready: u32,
}

impl PoolClass {
    /// When its places begin to be kept.
    pub fn opens(&self) -> Timestamp {
        self.from.minus(POOL_LEAD)
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.opens() <= now && now < self.until
    }
}

/// Where a pool sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolState {
    /// Wanted, or made and not ready yet.
    Making,
    /// Its lab shows prompts; a click may have it.
    Ready,
    /// A learner's.
    Claimed,
    /// Being removed.
    Draining,
}

impl PoolState {
    /// Every state, for metrics.
    pub const ALL: &'static [Self] = &[Self::Making, Self::Ready, Self::Claimed, Self::Draining];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::Draining => "draining",
        }
    }

    /// Back from the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// A pool sandbox, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSandbox {
    pub sandbox: SandboxId,
    /// The id that the session which claims it takes: agent, labels and recording carry it from the start.
    pub session: SessionId,
    pub lab: LabId,
    pub digest: LabDigest,
    pub state: PoolState,
    pub made_at: Timestamp,
    /// By our clock.
    pub ready_at: Option<Timestamp>,
    /// When the lab was ready, microseconds of the agent's clock.
    pub ready_us: Option<u64>,
    pub claimed_at: Option<Timestamp>,
    /// Why it is draining.
    pub reason: Option<String>,
}

impl PoolSandbox {
    /// May become or is ready.
    pub fn is_warm(&self) -> bool {
        matches!(self.state, PoolState::Making | PoolState::Ready)
    }
}

/// Why a pool sandbox is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DrainReason {
    /// There is a newer version of its lab.
    Outdated,
    /// It waited for [`POOL_AGE_MAX`].
    Old,
    /// More than wanted: a class is over, or the settings are other ones.
    Surplus,
    /// A learner waits and there is no room.
    GivesWay,
    /// The runtime has it not, or not running any more.
    Lost,
    /// Its lab did not become ready in time.
    NotReady,
    /// The runtime refuses to make it.
    Refused,
}

impl DrainReason {
    /// The public code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Outdated => "outdated",
            Self::Old => "old",
            Self::Surplus => "surplus",
            Self::GivesWay => "gives-way",
            Self::Lost => "lost",
            Self::NotReady => "not-ready",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for DrainReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One thing to do. Each may be refused by the store when something happened meanwhile, and is then looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolAction {
    /// Keep one more of this version. `reserved`: for a scheduled class, so it comes before learners who wait.
    Make {
        lab: LabId,
        digest: LabDigest,
        reserved: bool,
    },
    Drain {
        sandbox: SandboxId,
        reason: DrainReason,
    },
    /// Its row is not needed any more.
    Forget {
        sandbox: SandboxId,
    },
}

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct PoolLook<'a> {
    pub now: Timestamp,
    pub sandboxes_max: usize,
    pub pools: &'a [PoolSettings],
    pub rows: &'a [PoolSandbox],
    /// Sessions that are not over.
    pub live: &'a [Session],
    /// The newest version of each lab.
    pub latest: &'a HashMap<LabId, LabDigest>,
    /// Labs that are not made more of now: their last try failed a moment ago.
    pub paused: &'a HashSet<LabId>,
    /// Sandboxes that are known to be of no use, and why.
    pub failed: &'a HashMap<SandboxId, DrainReason>,
}

/// Whether a session has a sandbox, or may have: one that is stopping still has.
pub fn holds_sandbox(session: &Session) -> bool {
    session.state.wants_sandbox() || matches!(session.state, SessionState::Stopping { .. })
}

/// Whether a session waits for its turn.
pub fn is_waiting(session: &Session) -> bool {
    matches!(session.state, SessionState::Requested | SessionState::Queued)
}

/// Sandboxes that exist or are about to: of sessions, and of pools. A claimed one is its session's; where `live` was read
/// before the claim, it is counted here.
pub fn occupied(live: &[Session], rows: &[PoolSandbox]) -> usize {
    let sessions: HashSet<SessionId> = live.iter().map(|s| s.id).collect();
    let of_pools = |r: &&PoolSandbox| r.state != PoolState::Claimed || !sessions.contains(&r.session);
    live.iter().filter(|s| holds_sandbox(s)).count() + rows.iter().filter(of_pools).count()
}

/// What scheduled classes have of one lab now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenClass {
    /// When the first of them opened. A session of the lab that was asked for since then takes a place of theirs; who began
    /// before has one already.
    pub since: Timestamp,
    /// Places of all of them.
    pub places: usize,
    /// Places that nobody has taken yet.
    pub left: usize,
}

/// The classes that are open now, by lab.
pub fn open_classes(pools: &[PoolSettings], live: &[Session], now: Timestamp) -> HashMap<LabId, OpenClass> {
    let mut classes = HashMap::new();
    for pool in pools {
        let open: Vec<&PoolClass> = pool.timetable.iter().filter(|c| c.is_open(now)).collect();
        let Some(since) = open.iter().map(|c| c.opens()).min() else {
            continue;
        };
        let places: usize = open.iter().map(|c| c.ready as usize).sum();
        let taken = live.iter().filter(|s| s.lab == pool.lab && s.requested_at >= since);
        let left = places.saturating_sub(taken.count());
        classes.insert(pool.lab.clone(), OpenClass { since, places, left });
    }
    classes
}

/// Places of a lab's open classes that nobody has taken and no warm sandbox stands for: room that is left for them.
pub fn places_short(lab: &LabId, class: &OpenClass, rows: &[PoolSandbox]) -> usize {
    let warm = rows.iter().filter(|r| r.is_warm() && r.lab == *lab).count();
    class.left.saturating_sub(warm)
}

/// How many of a lab should be warm now, with the classes of it that are open.
pub fn wanted(pool: &PoolSettings, class: Option<&OpenClass>) -> usize {
    let reserved = class.map_or(0, |c| c.left);
    reserved.max(pool.reserve as usize).min(pool.max as usize)
}

/// What to do now. Order matters: what is made comes last, classes before reserves.
pub fn pool_plan(look: &PoolLook<'_>) -> Vec<PoolAction> {
    let mut plan = Plan {
        look,
        classes: open_classes(look.pools, look.live, look.now),
        going: HashSet::new(),
        actions: Vec::new(),
    };
    plan.forget();
    plan.drain_useless();
    plan.drain_surplus();
    plan.give_way();
    plan.renew();
    plan.grow();
    plan.actions
}

struct Plan<'a> {
    look: &'a PoolLook<'a>,
    classes: HashMap<LabId, OpenClass>,
    /// Drained by this plan.
    going: HashSet<SandboxId>,
    actions: Vec<PoolAction>,
}

impl<'a> Plan<'a> {
    fn drain(&mut self, sandbox: SandboxId, reason: DrainReason) {
        if self.going.insert(sandbox) {
            self.actions.push(PoolAction::Drain { sandbox, reason });
        }
    }

    /// Warm sandboxes of a lab that stay, those that are worth least first: unready ones, newest first, then the oldest.
    fn warm(&self, lab: &LabId) -> Vec<&'a PoolSandbox> {
        let rows = self.look.rows.iter();
        let mut warm: Vec<_> = rows
            .filter(|r| r.is_warm() && r.lab == *lab && !self.going.contains(&r.sandbox))
            .collect();
        warm.sort_by_key(|r| match r.state {
            PoolState::Making => (0, -r.made_at.0, r.sandbox),
            _ => (1, r.made_at.0, r.sandbox),
        });
        warm
    }

    fn forget(&mut self) {
        let over = |r: &PoolSandbox| r.claimed_at.is_none_or(|at| at.plus(POOL_CLAIM_KEPT) <= self.look.now);
        let claimed = self.look.rows.iter().filter(|r| r.state == PoolState::Claimed);
        let over = claimed
            .filter(|r| over(r))
            .map(|r| PoolAction::Forget { sandbox: r.sandbox });
        self.actions.extend(over);
    }

    /// What no click can get, or should.
    fn drain_useless(&mut self) {
        let look = self.look;
        for row in look.rows.iter().filter(|r| r.is_warm()) {
            if let Some(reason) = look.failed.get(&row.sandbox) {
                self.drain(row.sandbox, *reason);
            } else if !look.pools.iter().any(|p| p.lab == row.lab) {
                self.drain(row.sandbox, DrainReason::Surplus);
            } else if look.latest.get(&row.lab) != Some(&row.digest) {
                self.drain(row.sandbox, DrainReason::Outdated);
            }
        }
    }

    fn drain_surplus(&mut self) {
        for pool in self.look.pools {
            let warm = self.warm(&pool.lab);
            let over = warm.len().saturating_sub(self.wanted(pool));
            for row in &warm[..over] {
                self.drain(row.sandbox, DrainReason::Surplus);
            }
        }
    }

    /// Places of a class that no warm sandbox stands for yet, as far as its pool may grow.
    fn short(&self, pool: &PoolSettings) -> usize {
        self.left(&pool.lab)
            .min(pool.max as usize)
            .saturating_sub(self.warm(&pool.lab).len())
    }

    fn wanted(&self, pool: &PoolSettings) -> usize {
        wanted(pool, self.classes.get(&pool.lab))
    }

    fn left(&self, lab: &LabId) -> usize {
        self.classes.get(lab).map_or(0, |c| c.left)
    }

    fn room(&self) -> usize {
        let occupied = occupied(self.look.live, self.look.rows);
        self.look.sandboxes_max.saturating_sub(occupied)
    }

    fn waiting(&self) -> usize {
        self.look.live.iter().filter(|s| is_waiting(s)).count()
    }

    /// A learner who waits, and a class, come before a sandbox that nobody uses. What is on its way out makes room by itself.
    fn give_way(&mut self) {
        let look = self.look;
        let leaving = |r: &&PoolSandbox| r.state == PoolState::Draining || self.going.contains(&r.sandbox);
        let leaving = look.rows.iter().filter(leaving).count();
        let classes: usize = look.pools.iter().map(|p| self.short(p)).sum();
        let mut need = (self.waiting() + classes).saturating_sub(self.room() + leaving);
        for pool in look.pools {
            let warm = self.warm(&pool.lab);
            let free = warm.len().saturating_sub(self.left(&pool.lab)).min(need);
            need -= free;
            for row in &warm[..free] {
                self.drain(row.sandbox, DrainReason::GivesWay);
            }
        }
    }

    /// Old ones go one by one, each when all others are ready: a whole pool of one age is never empty.
    fn renew(&mut self) {
        for pool in self.look.pools {
            let warm = self.warm(&pool.lab);
            let complete = warm.iter().all(|r| r.state == PoolState::Ready) && warm.len() >= self.wanted(pool);
            let old = |r: &&&PoolSandbox| r.made_at.plus(POOL_AGE_MAX) <= self.look.now;
            if let Some(row) = warm.iter().find(old).filter(|_| complete) {
                self.drain(row.sandbox, DrainReason::Old);
            }
        }
    }

    /// What is drained by this plan keeps its place until it is gone, so it is not made up for before.
    fn grow(&mut self) {
        let look = self.look;
        let can_grow = |p: &&PoolSettings| !look.paused.contains(&p.lab) && look.latest.contains_key(&p.lab);
        let growing: Vec<&PoolSettings> = look.pools.iter().filter(can_grow).collect();
        let mut room = self.room();
        for pool in &growing {
            let n = self.short(pool).min(room);
            room -= n;
            self.make(pool, true, n);
        }
        // learners who wait come before reserves
        room = room.saturating_sub(self.waiting());
        for pool in &growing {
            let have = self.warm(&pool.lab).len() + self.short(pool);
            let n = self.wanted(pool).saturating_sub(have).min(room);
            room -= n;
            self.make(pool, false, n);
        }
    }

    fn make(&mut self, pool: &PoolSettings, reserved: bool, n: usize) {
        let Some(digest) = self.look.latest.get(&pool.lab) else {
            return;
        };
        let make = PoolAction::Make {
            lab: pool.lab.clone(),
            digest: digest.clone(),
            reserved,
        };
        self.actions.extend(std::iter::repeat_n(make, n));
    }
}
