//! How a course's run went, in the five numbers that courses are compared by, each with its denominator; and how people go on from one course
//! to the next.

use crate::{LabId, Subject, grading::Grade};
use std::collections::{BTreeMap, BTreeSet};

/// What a learner has of a lab in a course: the best of all runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabGrade {
    pub subject: Subject,
    pub lab: LabId,
    pub grade: Grade,
}

/// What counts as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorRule {
    /// Who did all of these, and `second_week`, is diligent.
    pub first_week: BTreeSet<LabId>,
    /// The first graded lab of the second week.
    pub second_week: LabId,
    /// Labs of the global grade, each as much as any other; who did not do one has nothing of it.
    pub labs: BTreeSet<LabId>,
    /// With so much of it a learner has succeeded.
    pub pass_percent: u8,
}

/// Grades are sums of fractions: a learner who has exactly what is asked for has it.
const GRADE_WITHIN: f64 = 1e-9;

/// Learners of a run, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indicators {
    pub enrolled: u64,
    /// Had a lab of the run checked, whatever came of it: a zero is a start.
    pub started: u64,
    pub diligent: u64,
    pub success: u64,
    /// Diligent, and succeeded.
    pub diligent_success: u64,
}

impl Indicators {
    /// Counts. Who has a result is enrolled, whether a list says so or not.
    pub fn of(enrolled: &BTreeSet<Subject>, grades: &[LabGrade], rule: &IndicatorRule) -> Self {
        let mut learners: BTreeMap<&Subject, BTreeMap<&LabId, Grade>> = BTreeMap::new();
        for g in grades {
            learners.entry(&g.subject).or_default().insert(&g.lab, g.grade);
        }
        let mut all: BTreeSet<&Subject> = enrolled.iter().collect();
        all.extend(learners.keys());
        let mut count = Self {
            enrolled: all.len() as u64,
            ..Self::default()
        };
        for labs in learners.values() {
            let diligent = rule
                .first_week
                .iter()
                .chain([&rule.second_week])
                .all(|lab| labs.contains_key(lab));
            let success = rule.is_passed(labs);
            count.started += u64::from(rule.labs.iter().any(|lab| labs.contains_key(lab)));
            count.diligent += u64::from(diligent);
            count.success += u64::from(success);
            count.diligent_success += u64::from(diligent && success);
        }
        count
    }

    /// Each with what it is a share of, as people say it: started, diligent and success of the enrolled, diligent of the started, diligent success
    /// of the diligent.
    pub fn shares(&self) -> [(u64, u64); 5] {
        [
            (self.started, self.enrolled),
            (self.diligent, self.enrolled),
            (self.success, self.enrolled),
            (self.diligent, self.started),
            (self.diligent_success, self.diligent),
        ]
    }
}

impl IndicatorRule {
    fn is_passed(&self, labs: &BTreeMap<&LabId, Grade>) -> bool {
        let of = |lab| {
            labs.get(lab)
                .map_or(0.0, |g: &Grade| f64::from(g.given) / f64::from(g.maximum))
        };
        let sum: f64 = self.labs.iter().map(of).sum();
        !self.labs.is_empty() && sum / self.labs.len() as f64 + GRADE_WITHIN >= f64::from(self.pass_percent) / 100.0
    }
}

/// A share in per cent; none of nothing.
pub fn percent((part, of): (u64, u64)) -> Option<f64> {
    (of > 0).then(|| part as f64 * 100.0 / of as f64)
}

/// Of those who started the first of a sequence of courses: how many started the second too, how many of them the third, and so on.
pub fn funnel(started: &[BTreeSet<Subject>]) -> Vec<u64> {
    let mut left: Option<BTreeSet<Subject>> = None;
    let step = |course: &BTreeSet<Subject>| {
        let both = left.take().map_or_else(|| course.clone(), |before| &before & course);
        let count = both.len() as u64;
        left = Some(both);
        count
    };
    started.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(numbers: std::ops::Range<u32>) -> BTreeSet<Subject> {
        numbers.map(|n| Subject(format!("p{n}"))).collect()
    }

    fn rule() -> IndicatorRule {
        IndicatorRule {
            first_week: ["w1a".into(), "w1b".into()].into(),
            second_week: "w2".into(),
            labs: ["w1a".into(), "w1b".into(), "w2".into(), "w3".into()].into(),
            pass_percent: 50,
        }
    }

    fn grade(subject: &str, lab: &str, given: u32, maximum: u32) -> LabGrade {
        LabGrade {
            subject: subject.into(),
            lab: lab.into(),
            grade: Grade::new(given, maximum).unwrap(),
        }
    }

    fn near(share: (u64, u64), wanted: f64) {
        let found = percent(share).unwrap();
        assert!((found - wanted).abs() < 0.05, "{share:?}: {found}, not {wanted}");
    }

    #[test]
    fn five_numbers_have_each_its_own_rule() {
        let grades = [
            // did both weeks, and has half: 1 + 1/3 + 2/3 + 0 of four
            grade("ada", "w1a", 1, 1),
            grade("ada", "w1b", 1, 3),
            grade("ada", "w2", 2, 3),
            // did both weeks with nothing: diligent, and a zero is a start
            grade("bob", "w1a", 0, 1),
            grade("bob", "w1b", 0, 3),
            grade("bob", "w2", 0, 3),
            // jumped to the end, and succeeded without being diligent
            grade("eve", "w2", 3, 3),
            grade("eve", "w3", 1, 1),
            // one lab of the first week
            grade("kim", "w1a", 1, 1),
            // a lab that is not of the course's grade
            grade("lin", "extra", 1, 1),
        ];
        let listed = ["ada", "bob", "zoe"].map(Subject::from).into();
        let count = Indicators::of(&listed, &grades, &rule());
        assert_eq!(
            count,
            Indicators {
                enrolled: 6,
                started: 4,
                diligent: 2,
                success: 2,
                diligent_success: 1
            }
        );
        assert_eq!(count.shares(), [(4, 6), (2, 6), (2, 6), (2, 4), (1, 2)]);
        assert_eq!(percent((0, 0)), None);
    }

    #[test]
    fn who_has_what_is_asked_for_to_the_last_part_has_passed() {
        let thirds = |given| ["a", "b", "c"].map(|lab| grade("ada", lab, given, 3)).to_vec();
        let rule = |pass_percent| IndicatorRule {
            labs: ["a".into(), "b".into(), "c".into()].into(),
            pass_percent,
            ..rule()
        };
        let passed = |given, pass| Indicators::of(&BTreeSet::new(), &thirds(given), &rule(pass)).success == 1;
        assert!(passed(3, 100) && passed(1, 33) && !passed(1, 34) && !passed(2, 67) && passed(0, 0));
    }

    /// The paying learners of two sessions of a networks course: what was printed as 56 and 70 % follows from its neighbours.
    #[test]
    fn printed_shares_of_paying_learners_follow_from_their_counts() {
        for (diligent, certified, printed) in [(80, 45, 56.0), (63, 44, 70.0)] {
            let run = Indicators {
                enrolled: 100,
                started: 100,
                diligent,
                success: certified,
                diligent_success: certified,
            };
            let found = percent(run.shares()[4]).unwrap();
            assert!((found - printed).abs() < 0.5, "{found}");
        }
    }

    /// Three courses in a row: 1112 started the first, 194 of them the second, 40 the third.
    #[test]
    fn a_funnel_loses_who_did_not_start_every_course_so_far() {
        let first = people(0..1112);
        // 867 started the second, 445 the third, most of them newcomers
        let second = &people(0..194) | &people(2000..2673);
        let third = &(&people(0..40) | &people(500..700)) | &people(2000..2205);
        let left = funnel(&[first, second, third]);
        assert_eq!(left, [1112, 194, 40]);
        near((left[1], left[0]), 17.4);
        near((left[2], left[0]), 3.6);
        assert_eq!(funnel(&[]), Vec::<u64>::new());
    }
}
