//! When a session ends by itself. Pure: times in, the nearest limit out.

use lab_core::{
    Timestamp,
    entitlement::{Feature, MINIMUM_TO_START_SECS, Plan, TEST_RUN_SECS_MAX},
    lab::Time,
    port::Session,
    provisioning::EndReason,
};
use std::time::Duration;

/// A learner who extends gets at most this many times the lab's own maximum.
pub const MAX_TIMES: u32 = 2;

/// How long a lab without time stands still, when the settings do not say: to find a voucher, or to call who pays.
pub const FREEZE_GRACE: Duration = Duration::from_mins(30);

/// A session stands still for at most so many graces in all: its sandbox's own deadline, which cannot be moved, covers them.
pub const FREEZES_MAX: u32 = 4;

/// Later than every limit of a test run.
const AFTER_ALL: Duration = Duration::from_hours(1);

/// What ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The lab's maximum time.
    Time,
    /// No more time on the learner's grants.
    Budget,
    /// Nobody typed.
    Idle,
}

impl Limit {
    /// As in the time notice.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Budget => "budget",
            Self::Idle => "idle",
        }
    }

    /// Why the session ended, when this limit ended it.
    pub fn reason(self) -> EndReason {
        match self {
            Self::Time => EndReason::TimeLimit,
            Self::Budget => EndReason::BudgetSpent,
            Self::Idle => EndReason::IdleTimeout,
        }
    }
}

/// What a lab and a plan say of a session's length.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub time: Time,
    /// See [`Plan::session_secs_max`].
    pub session_max: Option<Duration>,
    /// A fixed window: see [`Feature::Exam`].
    pub exam: bool,
    /// See [`Plan::minimum_secs`].
    pub minimum_secs: i64,
}

impl Rules {
    /// Of a session's lab, under the plan that pays for it, or by the limits of test runs, which none pays for.
    pub fn of_session(session: &Session, time: Time, plans: &[Plan]) -> Self {
        let rules = Self::of(time, plans.iter().find(|p| p.id == session.plan));
        let session_max = if session.is_test_run() {
            Some(Duration::from_secs(TEST_RUN_SECS_MAX.unsigned_abs()))
        } else {
            rules.session_max
        };
        Self { session_max, ..rules }
    }

    /// Of a lab, under a plan; one that is gone limits nothing more.
    pub fn of(time: Time, plan: Option<&Plan>) -> Self {
        let secs = plan.and_then(|p| p.session_secs_max);
        Self {
            time,
            session_max: secs.map(|s| Duration::from_secs(u64::try_from(s).unwrap_or(0))),
            exam: plan.is_some_and(|p| p.has(Feature::Exam)),
            minimum_secs: plan.map_or(MINIMUM_TO_START_SECS, |p| p.minimum_secs),
        }
    }

    /// How long it runs when nobody extends it.
    pub fn run(&self) -> Duration {
        self.within(Duration::from_secs(self.time.max.secs))
    }

    /// How long it runs at most.
    pub fn run_max(&self) -> Duration {
        if self.exam {
            return self.run();
        }
        self.within(Duration::from_secs(self.time.max.secs).saturating_mul(MAX_TIMES))
    }

    fn within(&self, time: Duration) -> Duration {
        self.session_max.map_or(time, |max| max.min(time))
    }
}

/// When a session that stands still is stopped: after its grace, or what is left of all its graces.
pub fn frozen_end(session: &Session, grace: Duration) -> Option<Timestamp> {
    let at = session.frozen_at?;
    let left = grace
        .saturating_mul(FREEZES_MAX)
        .saturating_sub(Duration::from_micros(session.frozen_us));
    Some(at.plus(grace.min(left)))
}

/// The three ends of a usable session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub ready_at: Timestamp,
    pub deadline: Timestamp,
    /// When what is held runs out.
    pub hold_end: Timestamp,
    /// When everything the learner has runs out.
    pub budget_end: Timestamp,
    pub idle_end: Timestamp,
    /// The deadline cannot be moved beyond this.
    pub deadline_max: Timestamp,
    /// How long it stood still before.
    pub stood: Duration,
}

impl Limits {
    /// Limits of a session that had its first prompt; `None` before. `available`: seconds that its hold can still
    /// grow by; `active_at`: the latest key, from wherever it is known. All but the last are as much later as it stood still before.
    pub fn of(session: &Session, rules: &Rules, available: i64, active_at: Timestamp) -> Option<Self> {
        let ready_at = session.ready_at?;
        let stood = Duration::from_micros(session.frozen_us);
        let secs = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
        let deadline_max = ready_at.plus(rules.run_max()).plus(stood);
        let hold_end = if session.is_test_run() {
            // nothing is held, and so nothing runs out before the time does
            deadline_max.plus(AFTER_ALL)
        } else {
            ready_at.plus(secs(session.held_secs)).plus(stood)
        };
        Some(Self {
            ready_at,
            deadline: session.deadline.unwrap_or_else(|| ready_at.plus(rules.run())),
            hold_end,
            budget_end: hold_end.plus(secs(available)),
            // nobody can type before there is a prompt
            idle_end: active_at.max(ready_at).plus(Duration::from_secs(rules.time.idle.secs)),
            deadline_max,
            stood,
        })
    }

    /// Whether one more extension would gain the learner anything.
    pub fn extendable(&self) -> bool {
        self.deadline < self.deadline_max && self.deadline < self.budget_end
    }
}

/// The limit that ends the session first, and when. Where two fall together, the one the learner can do least about is named.
pub fn nearest(limits: &Limits) -> (Limit, Timestamp) {
    let (budget, time) = ((Limit::Budget, limits.budget_end), (Limit::Time, limits.deadline));
    let paid = if time.1 < budget.1 { time } else { budget };
    if limits.idle_end < paid.1 {
        (Limit::Idle, limits.idle_end)
    } else {
        paid
    }
}
