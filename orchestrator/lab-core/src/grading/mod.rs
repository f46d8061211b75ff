//! Grades: what a learner's checks of a lab are worth, and how that goes back to the course that launched it.
//!
//! ```text
//!  a launch says where ([`GradeAddress`]) ─┐
//!                                          ├─► a row of the outbox ([`GradeRow`]) ─► score (1.3) or result (1.1) ─► [`Verdict`]
//!  checks ─► [`grade_of`] ─────────────────┘
//! ```
//! Pure rules: signatures and requests are `lab-app`'s. A row holds one grade, the newest; what was to be sent before it is not sent.

mod address;
pub mod ags;
mod outbox;
pub mod outcome;
mod verdict;

pub use address::GradeAddress;
pub use outbox::{GradeRow, GradeState, GradeTarget, Sent, Trouble};
pub use verdict::{GIVE_UP_AFTER, HELD_AFTER, RETRY_AFTER_MAX, Verdict, next_stamp, retry_within};

use crate::{CheckId, lab::LabFile};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt};

/// Points of all the points there are; `maximum` is never 0 and `given` never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    pub given: u32,
    pub maximum: u32,
}

/// LTI 1.1 takes a fraction as text: six digits tell any two grades of a lab of less than a million points apart.
const FRACTION: u64 = 1_000_000;

/// Grades that differ by less are the same: platforms keep them as floating point, scaled to a maximum of their own.
const SAME_WITHIN: f64 = 0.000_1;

impl Grade {
    /// A grade, where there are points at all.
    pub fn new(given: u32, maximum: u32) -> Option<Self> {
        (maximum > 0).then(|| Self {
            given: given.min(maximum),
            maximum,
        })
    }

    /// Nothing is left to earn.
    pub fn is_complete(self) -> bool {
        self.given == self.maximum
    }

    /// Between 0 and 1, as text; 1 for a complete one only.
    pub fn fraction(self) -> String {
        let millionths = u64::from(self.given) * FRACTION / u64::from(self.maximum);
        let whole = millionths / FRACTION;
        format!("{whole}.{:06}", millionths % FRACTION)
    }

    /// Whether a platform's own numbers mean this grade.
    pub fn is(self, score: f64, maximum: f64) -> bool {
        let ours = f64::from(self.given) / f64::from(self.maximum);
        maximum > 0.0 && (score / maximum - ours).abs() < SAME_WITHIN
    }

    fn is_less_than(self, other: Self) -> bool {
        u64::from(self.given) * u64::from(other.maximum) < u64::from(other.given) * u64::from(self.maximum)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.given, self.maximum)
    }
}

/// A check and its points.
pub type Points = (CheckId, u32);

/// The checks of a lab version, and what each is worth.
pub fn points_of(file: &LabFile) -> Vec<Points> {
    file.checks.iter().map(|c| (c.id.clone(), c.points)).collect()
}

/// The grade of a learner's runs of a lab: of each check the best that any run had, of all the points there are. `versions` are those
/// that were run; a check that two of them have counts for both, and the version in which the learner has most counts, so that a
/// lab that is changed never lowers a grade. None as long as nothing was checked, and for labs without points.
pub fn grade_of(versions: &[Vec<Points>], best: &[Points]) -> Option<Grade> {
    if best.is_empty() {
        return None;
    }
    let mut had: HashMap<&CheckId, u32> = HashMap::new();
    for (check, points) in best {
        let most = had.entry(check).or_default();
        *most = (*most).max(*points);
    }
    let of_version = |checks: &Vec<Points>| {
        let (mut given, mut maximum) = (0_u32, 0_u32);
        for (check, points) in checks {
            maximum = maximum.saturating_add(*points);
            given = given.saturating_add(had.get(check).map_or(0, |p| *p.min(points)));
        }
        Grade::new(given, maximum)
    };
    let grades = versions.iter().filter_map(of_version);
    grades.reduce(|best, next| if best.is_less_than(next) { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(all: &[(&str, u32)]) -> Vec<Points> {
        all.iter().map(|(check, points)| ((*check).into(), *points)).collect()
    }

    #[test]
    fn a_grade_is_the_best_points_of_all_points() {
        let lab = points(&[("a", 1), ("b", 1), ("c", 1)]);
        let of = |best: &[(&str, u32)]| grade_of(std::slice::from_ref(&lab), &points(best)).map(|g| g.to_string());
        assert_eq!(of(&[]), None, "nothing was checked");
        assert_eq!(of(&[("a", 0)]).as_deref(), Some("0/3"), "a zero is a grade");
        assert_eq!(of(&[("a", 1), ("b", 1), ("b", 0)]).as_deref(), Some("2/3"));
        assert_eq!(
            of(&[("a", 9), ("x", 5)]).as_deref(),
            Some("1/3"),
            "no check gives more than its own"
        );
        assert_eq!(
            grade_of(&[points(&[("a", 0)])], &points(&[("a", 0)])),
            None,
            "a lab without points"
        );
    }

    #[test]
    fn a_lab_that_grows_takes_no_points_away() {
        let (old, new) = (points(&[("a", 1)]), points(&[("a", 1), ("b", 1)]));
        let best = points(&[("a", 1)]);
        let grade = grade_of(&[old, new.clone()], &best).unwrap();
        assert!(grade.is_complete(), "{grade}");
        assert_eq!(grade_of(&[new], &best).unwrap().to_string(), "1/2");
    }

    #[test]
    fn a_fraction_is_one_only_when_all_is_done() {
        let of = |given, maximum| Grade::new(given, maximum).unwrap().fraction();
        assert_eq!(
            (of(2, 3), of(3, 3), of(0, 3)),
            ("0.666666".into(), "1.000000".into(), "0.000000".into())
        );
        assert_eq!(of(u32::MAX - 1, u32::MAX), "0.999999");
        let grade = Grade::new(2, 3).unwrap();
        assert!(grade.is(66.6667, 100.0) && !grade.is(66.0, 100.0) && !grade.is(2.0, 0.0));
    }

    prop_compose! {
        fn some()(all in prop::collection::vec((0_u8..6, 0_u32..20), 0..8)) -> Vec<Points> {
            all.into_iter().map(|(check, points)| (format!("c{check}").into(), points)).collect()
        }
    }

    proptest! {
        /// However often a learner tries, starts again, or gets a newer version: the grade stays or grows.
        #[test]
        fn more_checks_and_more_versions_never_lower_a_grade(
            versions in prop::collection::vec(some(), 1..4), best in some(), more in some(), newer in some(),
        ) {
            let before = grade_of(&versions, &best);
            let all: Vec<Points> = best.iter().chain(&more).cloned().collect();
            let mut later = versions.clone();
            later.push(newer);
            for after in [grade_of(&versions, &all), grade_of(&later, &best), grade_of(&later, &all)] {
                if let Some(before) = before {
                    let after = after.expect("a grade does not go away");
                    prop_assert!(!after.is_less_than(before), "{before} became {after}");
                    prop_assert!(after.given <= after.maximum && after.maximum > 0);
                }
            }
        }
    }
}
