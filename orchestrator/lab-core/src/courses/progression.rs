//! When a course's learners were done with each lab, by dates that the course team names; and runs of several courses in one table.

use super::{Indicators, percent};
use crate::{CheckId, CourseId, LabId, Subject, Timestamp};
use std::collections::BTreeMap;

/// A learner was done with a lab: every check of a version that they ran had passed once, in whichever runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub subject: Subject,
    pub lab: LabId,
    /// When the last of those checks passed for the first time.
    pub at: Timestamp,
}

/// When somebody was done with a lab. `versions`: the checks of each version that they ran; `passed`: when each check first passed. Of several versions the
/// one that was done first counts: a check that is added later takes nothing away.
pub fn completed_at(versions: &[Vec<CheckId>], passed: &BTreeMap<CheckId, Timestamp>) -> Option<Timestamp> {
    let done = |checks: &Vec<CheckId>| {
        let each: Option<Vec<Timestamp>> = checks.iter().map(|c| passed.get(c).copied()).collect();
        each?.into_iter().max()
    };
    versions.iter().filter_map(done).min()
}

/// Learners who were done with a lab, by when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabProgression {
    pub lab: LabId,
    pub total: u64,
    /// Before the first date, from each date to the next, and from the last one on: one more than there are dates. Their sum is the total.
    pub within: Vec<u64>,
}

/// By lab. `dates`: in order; a completion at a date is after it.
pub fn progression(completions: &[Completion], dates: &[Timestamp]) -> Vec<LabProgression> {
    let mut labs: BTreeMap<&LabId, Vec<u64>> = BTreeMap::new();
    for done in completions {
        let within = labs.entry(&done.lab).or_insert_with(|| vec![0; dates.len() + 1]);
        within[dates.partition_point(|date| *date <= done.at)] += 1;
    }
    let row = |(lab, within): (&LabId, Vec<u64>)| LabProgression {
        lab: lab.clone(),
        total: within.iter().sum(),
        within,
    };
    labs.into_iter().map(row).collect()
}

/// Dates that a progression is told by when nobody names any: the ends of a run's weeks. 12: a term.
pub const WEEKS_MAX: usize = 12;

/// The ends of a run's weeks that are over at `now`, the last [`WEEKS_MAX`] of them; none without a beginning.
pub fn weeks(opens_at: Option<Timestamp>, now: Timestamp) -> Vec<Timestamp> {
    let Some(opens_at) = opens_at else { return Vec::new() };
    let week = std::time::Duration::from_hours(7 * 24);
    let over = usize::try_from(now.since(opens_at).as_secs() / week.as_secs()).unwrap_or(0);
    let end = |n: usize| opens_at.plus(week * u32::try_from(n).unwrap_or(u32::MAX));
    (over.saturating_sub(WEEKS_MAX - 1).max(1)..=over).map(end).collect()
}

/// Courses of a series at most: each may be a second's reading (2 500 learners with five labs), and a page waits for them.
pub const SERIES_COURSES_MAX: usize = 12;

/// Courses that operations put together: compared, and followed from one to the next. Their teachers and managers see each other's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourseSeries {
    pub name: String,
    /// In their order, at most [`SERIES_COURSES_MAX`].
    pub courses: Vec<CourseId>,
}

/// Runs of several courses beside each other, with what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CourseTable {
    pub courses: Vec<(CourseId, Indicators)>,
}

impl CourseTable {
    /// The mean of each share of [`Indicators::shares`] over the courses that have one: a small course counts as much as a large one. Of the number of
    /// enrolled there is none: it is no share.
    pub fn means(&self) -> [Option<f64>; 5] {
        std::array::from_fn(|n| {
            let shares: Vec<f64> = self
                .courses
                .iter()
                .filter_map(|(_, run)| percent(run.shares()[n]))
                .collect();
            (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
        })
    }

    /// All courses as if they were one: a person of two of them counts twice.
    pub fn sum(&self) -> Indicators {
        self.courses
            .iter()
            .fold(Indicators::default(), |sum, (_, run)| Indicators {
                enrolled: sum.enrolled + run.enrolled,
                started: sum.started + run.started,
                diligent: sum.diligent + run.diligent,
                success: sum.success + run.success,
                diligent_success: sum.diligent_success + run.diligent_success,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 86_400)
    }

    fn passed(checks: &[(&str, i64)]) -> BTreeMap<CheckId, Timestamp> {
        checks.iter().map(|(check, n)| ((*check).into(), day(*n))).collect()
    }

    fn version(checks: &[&str]) -> Vec<CheckId> {
        checks.iter().map(|c| (*c).into()).collect()
    }

    #[test]
    fn a_lab_is_done_when_the_last_of_its_checks_first_passed() {
        let (old, new) = (version(&["a", "b"]), version(&["a", "b", "c"]));
        let done =
            |versions: &[Vec<CheckId>], checks| completed_at(versions, &passed(checks)).map(|at| at.secs() / 86_400);
        assert_eq!(done(std::slice::from_ref(&old), &[("a", 5), ("b", 3)]), Some(5));
        assert_eq!(done(std::slice::from_ref(&old), &[("a", 5)]), None);
        assert_eq!(
            done(&[new.clone(), old], &[("a", 5), ("b", 3), ("c", 9)]),
            Some(5),
            "a check that came later"
        );
        assert_eq!(done(&[new], &[("a", 5), ("b", 3)]), None);
        assert_eq!(done(&[version(&[])], &[]), None, "a lab without checks is never done");
    }

    /// An exercise of a course of 2019: 378 did it, 283 before its first closing date, 35 between that and the second.
    #[test]
    fn a_printed_progression_follows_from_its_dates() {
        let (c1, c2) = (
            "2019-06-15T00:00:00Z".parse().unwrap(),
            "2019-06-22T00:00:00Z".parse().unwrap(),
        );
        let when = |n: i64| match n {
            0..283 => Timestamp::from_secs(1_560_000_000 + n),
            // a completion at a date is after it
            283..318 => c1,
            _ => c2,
        };
        let done = |n| Completion {
            subject: Subject(format!("p{n}")),
            lab: "es02".into(),
            at: when(n),
        };
        let all: Vec<_> = (0..378).map(done).collect();
        let wanted = LabProgression {
            lab: "es02".into(),
            total: 378,
            within: vec![283, 35, 60],
        };
        assert_eq!(progression(&all, &[c1, c2]), [wanted]);
        assert_eq!(progression(&all, &[])[0].within, [378]);
        assert_eq!(progression(&[], &[c1]), []);
    }

    #[test]
    fn a_runs_weeks_are_those_that_are_over() {
        assert_eq!(weeks(None, day(100)), []);
        assert_eq!(weeks(Some(day(0)), day(6)), []);
        assert_eq!(weeks(Some(day(0)), day(20)), [day(7), day(14)]);
        let long = weeks(Some(day(0)), day(7 * 20));
        assert_eq!((long.len(), long[0], long[11]), (WEEKS_MAX, day(7 * 9), day(7 * 20)));
    }

    /// Eight courses of one collection (enrolled; started, diligent and success in per mille): printed averages are unweighted means, and the number of
    /// enrolled has none.
    #[test]
    fn a_table_over_courses_has_means_of_shares_and_the_sum_of_people() {
        let printed = [
            (7267, 129, 78, 39),
            (10246, 220, 140, 89),
            (6250, 303, 186, 153),
            (4325, 60, 28, 11),
            (6352, 83, 74, 62),
            (6080, 84, 72, 57),
            (8313, 189, 126, 78),
            (5774, 85, 43, 34),
        ];
        let run = |(enrolled, started, diligent, success): (u64, u64, u64, u64)| {
            let of = |permille: u64| (enrolled * permille + 500) / 1000;
            let run = Indicators {
                enrolled,
                started: of(started),
                diligent: of(diligent),
                success: of(success),
                diligent_success: of(success),
            };
            (CourseId(format!("course-{enrolled}")), run)
        };
        let table = CourseTable {
            courses: printed.map(run).to_vec(),
        };
        let means = table.means().map(Option::unwrap);
        // the last was printed as 67.9, of which one course's share cannot follow from its own numbers
        for (n, (mean, within)) in [(14.41, 0.01), (9.34, 0.01), (6.54, 0.01)].into_iter().enumerate() {
            assert!((means[n] - mean).abs() < within, "{n}: {}", means[n]);
        }
        // started to diligent, where the text says 65 %
        assert!((60.0..70.0).contains(&means[3]), "{}", means[3]);
        assert!((means[4] - 67.9).abs() < 1.0, "{}", means[4]);
        let sum = table.sum();
        assert_eq!(sum.enrolled, 54_607);
        assert!(
            (percent(sum.shares()[0]).unwrap() - 15.46).abs() < 0.05,
            "weighted by people"
        );
        assert_eq!(CourseTable::default().means(), [None; 5]);
    }
}
