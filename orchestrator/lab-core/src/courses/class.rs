//! Scheduled classes: a room, a date, and as many labs ready as learners are expected.

use super::run::{RunProblem, SITE_CHARS_MAX, is_line};
use crate::{
    CourseId, LabId, Timestamp,
    provisioning::{PoolClass, PoolSettings},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A class of more is a slip of the finger: the largest course has 2 500 learners.
pub const CLASS_LEARNERS_MAX: u32 = 10_000;

/// A longer one is a slip of the finger too: nobody keeps a room for more than a day.
pub const CLASS_LASTS_MAX: Duration = Duration::from_hours(24);

/// Classes to come that are looked at: a year of twenty a week.
pub const CLASSES_MAX: u32 = 1_000;

/// A class of a course. There is one of a lab at a time in each course: course, lab and beginning name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourseClass {
    pub course: CourseId,
    pub lab: LabId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub room: String,
    /// So many sandboxes are ready when it begins.
    pub learners: u32,
}

impl CourseClass {
    /// The first thing that is wrong with it.
    pub fn problem(&self) -> Option<RunProblem> {
        let problem = |field, value: String, remedy: String| Some(RunProblem { field, value, remedy });
        if !is_line(&self.room, SITE_CHARS_MAX) {
            let remedy = format!("write one line of 1 to {SITE_CHARS_MAX} characters");
            return problem("room", self.room.clone(), remedy);
        }
        if self.ends_at <= self.starts_at {
            let remedy = format!("let it end after it begins ({})", self.starts_at);
            return problem("until", self.ends_at.to_string(), remedy);
        }
        if self.ends_at.since(self.starts_at) > CLASS_LASTS_MAX {
            let remedy = "a class lasts 24 hours at most; add one for each day".into();
            return problem("until", self.ends_at.to_string(), remedy);
        }
        if !(1..=CLASS_LEARNERS_MAX).contains(&self.learners) {
            let remedy = format!("write how many are expected, 1 to {CLASS_LEARNERS_MAX}");
            return problem("learners", self.learners.to_string(), remedy);
        }
        None
    }
}

/// The pools of the settings, with what classes want besides. A lab that has a pool gets its class's places on top of the pool's own timetable, and its
/// most is raised to that: who schedules thirty learners means thirty. What the installation holds at all stays its own limit.
pub fn with_classes(pools: &[PoolSettings], classes: &[CourseClass]) -> Vec<PoolSettings> {
    let mut all = pools.to_vec();
    for class in classes {
        let place = PoolClass {
            from: class.starts_at,
            until: class.ends_at,
            ready: class.learners,
        };
        let at = all.iter().position(|p| p.lab == class.lab).unwrap_or_else(|| {
            all.push(PoolSettings {
                lab: class.lab.clone(),
                reserve: 0,
                max: 0,
                timetable: Vec::new(),
            });
            all.len() - 1
        });
        all[at].timetable.push(place);
        let places = all[at].timetable.iter().map(|c| c.ready);
        all[at].max = all[at].max.max(places.fold(0, u32::saturating_add));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::{open_classes, wanted};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    fn class(lab: &str, starts: i64, learners: u32) -> CourseClass {
        CourseClass {
            course: "net".into(),
            lab: lab.into(),
            starts_at: at(starts),
            ends_at: at(starts + 3600),
            room: "B-204".into(),
            learners,
        }
    }

    fn pool(max: u32) -> PoolSettings {
        PoolSettings {
            lab: "ospf".into(),
            reserve: 2,
            max,
            timetable: Vec::new(),
        }
    }

    #[test]
    fn a_class_of_thirteen_has_thirteen_ready_ten_minutes_before_and_none_after() {
        let pools = with_classes(&[], &[class("ospf", 0, 13)]);
        let ready = |now| wanted(&pools[0], open_classes(&pools, &[], at(now)).get(&pools[0].lab));
        assert_eq!((ready(-601), ready(-600), ready(3599), ready(3600)), (0, 13, 13, 0));
    }

    #[test]
    fn a_labs_reserve_stays_and_two_classes_at_once_have_places_for_both() {
        let pools = with_classes(
            &[pool(2)],
            &[class("ospf", 0, 13), class("ospf", 1800, 20), class("bgp", 0, 5)],
        );
        assert_eq!(pools.len(), 2);
        let ready = |now| wanted(&pools[0], open_classes(&pools, &[], at(now)).get(&pools[0].lab));
        assert_eq!((ready(-700), ready(0), ready(1800), ready(3601)), (2, 13, 33, 20));
        assert_eq!(with_classes(&[pool(7)], &[]), [pool(7)]);
        assert_eq!(with_classes(&[pool(50)], &[class("ospf", 0, 13)])[0].max, 50);
    }

    #[test]
    fn what_is_wrong_with_a_class_is_named_with_its_remedy() {
        assert_eq!(class("ospf", 0, 13).problem(), None);
        let wrong = |change: fn(&mut CourseClass)| {
            let mut class = class("ospf", 0, 13);
            change(&mut class);
            class.problem().unwrap().field
        };
        assert_eq!(wrong(|c| c.room = String::new()), "room");
        assert_eq!(wrong(|c| c.ends_at = c.starts_at), "until");
        assert_eq!(wrong(|c| c.ends_at = at(86_401)), "until");
        assert_eq!(wrong(|c| c.learners = 0), "learners");
        assert_eq!(wrong(|c| c.learners = CLASS_LEARNERS_MAX + 1), "learners");
    }
}
