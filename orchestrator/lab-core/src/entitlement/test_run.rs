//! A test run: a lab tried as its learners would have it, by whoever answers for it. A session like any other, except that no plan pays for it:
//! nothing is held, nothing is billed to anybody, and no grade comes of it. So that it is no way to free lab time, it has limits of its own.

use super::Refusal;
use crate::{
    CourseId, LabId, PlanId, SessionId, Timestamp, launch::LaunchClaims, launch::Login, launch::Role, port::Session,
};
use std::time::Duration;

/// The course of all test runs, whoever begins them: on no course's wall, in no course's counts or grades.
pub const TEST_RUN_COURSE: &str = "test-runs";

/// What stands where a session names the plan that pays for it. No list of plans has it, no grant can be of it, and nobody can ask for it.
pub const TEST_RUN_PLAN: &str = "test-run";

/// Test runs of a person at once. One: to try a lab takes both eyes.
pub const TEST_RUNS_AT_ONCE: u32 = 1;

/// Seconds that a test run lasts at most, extended or not: 2 h, the longest `time.max` of the labs that come with Labwire.
pub const TEST_RUN_SECS_MAX: i64 = 2 * 3600;

/// Once a person's test runs of [`TEST_RUN_WITHIN`] took so many seconds, from the click to the end, there is no further one: 8 h, a working day, or four
/// of the longest. One that has begun goes on, so it is 10 h at most.
pub const TEST_RUN_DAY_SECS: i64 = 8 * 3600;

/// See [`TEST_RUN_DAY_SECS`]. Not a calendar's day: an author has no course, and so no zone.
pub const TEST_RUN_WITHIN: Duration = Duration::from_hours(24);

/// What settlement says of the seconds of a test run.
pub const TEST_RUN_UNBILLED: &str = "test-run";

/// Whether a plan's name is the one that stands for none.
pub fn is_test_run_plan(plan: &PlanId) -> bool {
    plan.as_str() == TEST_RUN_PLAN
}

/// Why a person can begin no test run at `at`. `running`: theirs that are neither over nor on their way there; `begun`: those that they began
/// within [`TEST_RUN_WITHIN`], with when each was over.
pub fn test_run_refusal(
    running: &[SessionId],
    begun: &[(Timestamp, Option<Timestamp>)],
    at: Timestamp,
) -> Option<Refusal> {
    if running.len() >= TEST_RUNS_AT_ONCE as usize {
        let (max, running) = (TEST_RUNS_AT_ONCE, running.to_vec());
        return Some(Refusal::Concurrency { max, running });
    }
    let mut begun = begun.to_vec();
    begun.sort_unstable();
    let took = |(from, over): &(Timestamp, Option<Timestamp>)| over.unwrap_or(at).since(*from);
    let cap = Duration::from_secs(TEST_RUN_DAY_SECS.unsigned_abs());
    let mut left: Duration = begun.iter().map(took).sum();
    let mut again_at = None;
    for run in &begun {
        if left < cap {
            break;
        }
        left = left.saturating_sub(took(run));
        again_at = Some(run.0.plus(TEST_RUN_WITHIN));
    }
    again_at.map(|again_at| Refusal::TestRuns {
        cap: TEST_RUN_DAY_SECS,
        again_at,
    })
}

impl LaunchClaims {
    /// The same person's link to a test run.
    #[must_use]
    pub fn to_test_run(self, lab: LabId) -> Self {
        Self {
            role: Role::Learner,
            course: CourseId(TEST_RUN_COURSE.into()),
            lab: Some(lab),
            plan: Some(PlanId(TEST_RUN_PLAN.into())),
            sponsor: None,
            ..self
        }
    }
}

impl Login {
    /// Whether it begins test runs, and nothing else.
    pub fn is_test_run(&self) -> bool {
        self.role == Role::Learner
            && self.course.as_str() == TEST_RUN_COURSE
            && self.plan.as_ref().is_some_and(is_test_run_plan)
    }
}

impl Session {
    /// Whether no plan pays for it.
    pub fn is_test_run(&self) -> bool {
        is_test_run_plan(&self.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 3600)
    }

    fn refusal(begun: &[(i64, Option<i64>)], at: i64) -> Option<i64> {
        let begun: Vec<_> = begun
            .iter()
            .map(|(from, over)| (hours(*from), over.map(hours)))
            .collect();
        match test_run_refusal(&[], &begun, hours(at)) {
            Some(Refusal::TestRuns { cap, again_at }) => {
                assert_eq!(cap, TEST_RUN_DAY_SECS);
                Some(again_at.secs() / 3600)
            }
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_working_day_of_test_runs_is_enough_until_the_oldest_is_a_day_old() {
        assert_eq!(refusal(&[], 0), None);
        assert_eq!(refusal(&[(0, Some(2)), (2, Some(4)), (4, Some(6))], 7), None, "6 h");
        let day = [(4, Some(6)), (0, Some(2)), (6, Some(8)), (2, Some(4))];
        assert_eq!(refusal(&day, 8), Some(24), "in whichever order they are read");
        assert_eq!(
            refusal(&[(0, Some(1)), (1, Some(10))], 11),
            Some(25),
            "without the first it is 9 h still"
        );
        assert_eq!(
            refusal(&[(0, None)], 8),
            Some(24),
            "one that is not over counts until now"
        );
        assert_eq!(refusal(&[(0, None)], 7), None);
    }

    #[test]
    fn one_runs_at_a_time() {
        let running = [SessionId(uuid::Uuid::from_u128(7))];
        let refused = test_run_refusal(&running, &[], hours(1));
        assert!(matches!(refused, Some(Refusal::Concurrency { max: 1, running: r }) if r == running));
    }
}
