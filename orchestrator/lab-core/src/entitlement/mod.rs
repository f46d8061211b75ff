//! Stage 2, entitlement: plans are data, grants are rights under a plan, admission is one transaction.

mod budget;
mod day;
mod giver;
mod order;
mod plan;
mod terms;
mod test_run;
mod voucher;

use crate::{CourseId, GrantId, PlanId, SessionId, SponsorId, Subject, Timestamp, privacy::NoticeVersion};
pub use budget::{BudgetSpent, Given, GrantBudget};
pub use day::{Day, DayUse, TimedUse, is_zone};
pub use giver::{Asked, Giver, GiverState, Issued, WhyWithheld, Withheld, asked_plan, lapsed};
pub use order::{
    CANCEL_REASON_BYTES_MAX, Cancellation, Difference, FieldProblem, ORDER_NUMBER_BYTES_MAX, ORDERS_A_MINUTE, Order,
    OrderKey, OrderKeyState, OrderState, Placed, Placement, differences, grant_of, order_grant, permit, read_order,
    read_reason, shop_problem,
};
pub use plan::{Bilingual, Feature, MINIMUM_TO_START_SECS, Offer, Plan, PlanProblem};
use serde::{Deserialize, Serialize};
use std::time::Duration;
pub use terms::{Sale, Seat, TermsState, VoucherTerms};
pub use test_run::{
    TEST_RUN_COURSE, TEST_RUN_DAY_SECS, TEST_RUN_PLAN, TEST_RUN_SECS_MAX, TEST_RUN_UNBILLED, TEST_RUN_WITHIN,
    TEST_RUNS_AT_ONCE, is_test_run_plan, test_run_refusal,
};
pub use voucher::{
    BATCH_MAX, CODE_DIGITS, Code, GUESSES_MAX, GUESSES_WITHIN, Redeemed, Redemption, VoucherBatch, VoucherBatchState,
    VoucherRefusal, judge, voucher_grant,
};

/// A right to lab time under a plan. Its balance is the ledger's account `grant:<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub subject: Subject,
    pub course: CourseId,
    pub plan: PlanId,
    /// Seconds given.
    pub seconds: i64,
    /// Lower burns first.
    pub priority: i32,
    pub effective_at: Timestamp,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// Where it came from: one of [`source`].
    pub source: String,
    /// Who pays for it in the learner's place.
    #[serde(default)]
    pub sponsor: Option<SponsorId>,
}

impl Grant {
    /// What a plan gives, from `at` on, nobody paying in the learner's place.
    pub fn of_plan(
        plan: &Plan,
        id: GrantId,
        subject: &Subject,
        course: &CourseId,
        source: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            subject: subject.clone(),
            course: course.clone(),
            plan: plan.id.clone(),
            seconds: plan.seconds,
            priority: 0,
            effective_at: at,
            expires_at: at.plus(Duration::from_hours(24) * plan.valid_days),
            created_at: at,
            source: source.into(),
            sponsor: None,
        }
    }
}

/// Where grants come from.
pub mod source {
    /// By somebody's hand, on the command line.
    pub const MANUAL: &str = "manual";
    /// Paid for.
    pub const ORDER: &str = "order";
    pub const VOUCHER: &str = "voucher";
    /// By a list of a course's people.
    pub const ENROLMENT: &str = "enrolment";
    /// While a sponsor says so.
    pub const SPONSOR: &str = "sponsor";
    /// To make good what went wrong: its seconds are nobody's purchase, and come from the account `goodwill`.
    pub const GOODWILL: &str = "goodwill";

    /// Those that a person may name.
    pub const ALL: &[&str] = &[MANUAL, ORDER, VOUCHER, SPONSOR, GOODWILL];
}

/// A grant with what is left on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantBalance {
    pub grant: Grant,
    /// Seconds neither used nor held.
    pub available: i64,
    /// Taken back then: nothing is drawn from it any more. What was used stays used.
    pub voided_at: Option<Timestamp>,
}

impl GrantBalance {
    /// Whether seconds can be drawn from it at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.grant.effective_at <= now && now < self.ends_at()
    }

    /// When it ends, or did.
    pub fn ends_at(&self) -> Timestamp {
        self.voided_at
            .map_or(self.grant.expires_at, |at| at.min(self.grant.expires_at))
    }
}

/// What a running session can still draw, and what its learner was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLeft {
    /// Seconds that can be added to the session's hold now: on grants, within the plan's daily cap.
    pub available: i64,
    /// Seconds that the grants which are valid now gave.
    pub granted: i64,
    /// Of those, neither used nor held.
    pub unspent: i64,
}

/// At this share of what they were given a learner is told.
pub const TELL_AT_PERCENT: u8 = 80;

impl TimeLeft {
    /// Of a session that no plan pays for: nothing to draw, and nothing spent.
    pub fn of_test_run() -> Self {
        Self {
            available: 0,
            granted: TEST_RUN_SECS_MAX,
            unspent: TEST_RUN_SECS_MAX,
        }
    }

    /// How much of what was given is spent, 0 to 100, with `held_left` seconds of the hold still to come. Rounded down: whoever has a
    /// second left has not spent all.
    pub fn spent_percent(&self, held_left: i64) -> u8 {
        if self.granted <= 0 {
            return 100;
        }
        let left = (self.unspent.max(0) + held_left.max(0)).min(self.granted);
        u8::try_from((self.granted - left) * 100 / self.granted).unwrap_or(100)
    }
}

/// Why a learner gets no lab. Each is shown with its next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
pub enum Refusal {
    /// No grant of a plan with labs in this course (DISCOVERY); no `plan`: no grant of any.
    NoLabs { plan: Option<PlanId> },
    /// Less than the plan's minimum is left on grants that are valid now.
    NoTime { available: i64 },
    /// The plan's seconds of the day are used; `again_at`: the next midnight in the course's zone, which is what to write the time in.
    DailyCap {
        cap: i64,
        again_at: Timestamp,
        zone: Option<String>,
    },
    /// As many sessions run as the plan allows.
    Concurrency { max: u32, running: Vec<SessionId> },
    /// Operations paused new launches: in their words, and when to come back.
    Paused { reason: String, until: Option<Timestamp> },
    /// The course's run has not begun; `zone`: what to write the time in, as with the next.
    CourseNotOpen {
        title: String,
        opens_at: Timestamp,
        zone: Option<String>,
    },
    /// The course's run is over, for this learner. Their replays stay.
    CourseClosed {
        title: String,
        closed_at: Timestamp,
        zone: Option<String>,
    },
    /// Their launch asked for a plan, and what was agreed with the course does not cover it.
    Withheld { plan: PlanId, why: WhyWithheld },
    /// Their sponsor gave them time while something held, and has not said since that it still does.
    NotAttested { sponsor: SponsorId, since: Timestamp },
    /// So many seconds of test runs within a day are enough; the next may begin at `again_at`.
    TestRuns { cap: i64, again_at: Timestamp },
    /// They have not been told yet what is recorded of them; nothing else is in the way.
    Notice { version: NoticeVersion },
}

impl Refusal {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLabs { plan: None } => "no-plan",
            Self::NoLabs { .. } => "no-labs",
            Self::NoTime { .. } => "no-time",
            Self::DailyCap { .. } => "daily-cap",
            Self::Concurrency { .. } => "concurrency",
            Self::Paused { .. } => "launches-paused",
            Self::CourseNotOpen { .. } => "course-not-open",
            Self::CourseClosed { .. } => "course-closed",
            Self::Withheld { .. } => "plan-withheld",
            Self::NotAttested { .. } => "not-attested",
            Self::TestRuns { .. } => "test-runs-spent",
            Self::Notice { .. } => "privacy-notice",
        }
    }
}

/// Time reserved at once; extended while it runs. 15 minutes: a lost orchestrator holds back at most that.
pub const HOLD_CHUNK_SECS: i64 = 15 * 60;

/// Sorts grants in burn order: priority, then soonest expiry, then oldest, then id.
pub fn burn_order(grants: &mut [GrantBalance]) {
    grants.sort_by_key(|g| (g.grant.priority, g.grant.expires_at, g.grant.created_at, g.grant.id));
}

/// Splits `want` seconds over grants valid at `now`, in burn order. Returns (grant, seconds) pieces, whose sum is less than
/// `want` when the grants do not hold as much.
pub fn draw(grants: &mut [GrantBalance], want: i64, now: Timestamp) -> Vec<(GrantId, i64)> {
    burn_order(grants);
    let mut left = want;
    let mut pieces = Vec::new();
    for g in grants.iter().filter(|g| g.is_valid(now)) {
        let take = g.available.min(left);
        if take > 0 {
            pieces.push((g.grant.id, take));
            left -= take;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_percent_are_spent_when_a_fifth_is_left_wherever_it_is() {
        let time = |unspent| TimeLeft {
            available: 0,
            granted: 1000,
            unspent,
        };
        assert_eq!(time(1000).spent_percent(0), 0);
        assert_eq!(time(101).spent_percent(100), 79, "rounded down");
        assert_eq!(time(100).spent_percent(100), TELL_AT_PERCENT);
        assert_eq!(time(0).spent_percent(1), 99, "a second left is not all spent");
        assert_eq!(time(0).spent_percent(0), 100);
        assert_eq!(
            TimeLeft::default().spent_percent(0),
            100,
            "nothing valid is nothing left"
        );
        assert_eq!(
            time(900).spent_percent(900),
            0,
            "held from a grant that ended meanwhile"
        );
    }
}
