//! Who is in a course.

use super::run::is_line;
use crate::{CourseId, GrantId, PlanId, Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// People that one course lists, and one file brings. The largest course known has a little over 2 500 learners in one run; twice that. So many
/// with a grant each are one transaction of 1.8 s on SQLite, and a second list of the same a quarter of one.
pub const ENROLMENTS_MAX: usize = 5_000;

/// Names, cohorts, sites.
pub const FIELD_CHARS_MAX: usize = 120;

/// What names a person: a platform's address, `#`, and its identifier of at most 255 characters. Also the longest e-mail address (254).
pub const KEY_CHARS_MAX: usize = 400;

/// One person in one course, as its organiser wrote them down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    pub course: CourseId,
    /// As their links or their platform name them.
    pub subject: Subject,
    /// Empty: not known.
    pub name: String,
    /// The group they learn with.
    pub cohort: Option<String>,
    /// The place they learn at.
    pub site: Option<String>,
    /// Who looks after them.
    pub coach: Option<Subject>,
    /// Their number or e-mail address elsewhere.
    pub external: Option<String>,
    /// The plan that they are given a grant of.
    pub plan: Option<PlanId>,
    pub enrolled_at: Timestamp,
}

/// What is wrong with a field: name, value, remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?}: {remedy}")]
pub struct EnrolmentProblem {
    pub field: &'static str,
    pub value: String,
    pub remedy: String,
}

impl Enrolment {
    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<EnrolmentProblem> {
        let mut found = Vec::new();
        let mut say = |field, value: &str, remedy: String| {
            found.push(EnrolmentProblem {
                field,
                value: value.to_owned(),
                remedy,
            });
        };
        let key = |text: &str| is_line(text, KEY_CHARS_MAX) && text.trim() == text;
        let as_key = || format!("write what `labwire person ls` shows, 1 to {KEY_CHARS_MAX} characters");
        if !key(self.subject.as_str()) {
            say("id", self.subject.as_str(), as_key());
        } else if crate::privacy::is_pseudonym(&self.subject) {
            say(
                "id",
                self.subject.as_str(),
                "this person was forgotten; leave the row out".into(),
            );
        }
        if let Some(coach) = self.coach.as_ref().filter(|c| !key(c.as_str())) {
            say("coach", coach.as_str(), as_key());
        }
        let lines = [
            ("name", Some(&self.name).filter(|n| !n.is_empty())),
            ("cohort", self.cohort.as_ref()),
            ("site", self.site.as_ref()),
        ];
        for (field, text) in lines {
            if let Some(text) = text.filter(|t| !is_line(t, FIELD_CHARS_MAX)) {
                say(
                    field,
                    text,
                    format!("write one line of at most {FIELD_CHARS_MAX} characters, or nothing"),
                );
            }
        }
        if let Some(external) = self.external.as_ref().filter(|t| !key(t)) {
            say(
                "external",
                external,
                format!("write one line of at most {KEY_CHARS_MAX} characters, or nothing"),
            );
        }
        found
    }
}

/// What a list of people came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// Who was not in the course.
    pub added: u32,
    /// Of whom something is other than before.
    pub changed: u32,
    pub unchanged: u32,
    /// Grants that were issued; who had the one of their plan gets no second.
    pub grants: u32,
}

/// Times a person is forgotten and comes back: whoever does that every month is here for years.
pub const FORGOTTEN_MAX: u32 = 64;

/// The id of the grant that a course's plan gives each of its learners: whoever brings it (a launch by LTI, a list of people), and however often, it
/// is one. `forgotten`: how often an earlier one went to a pseudonym.
pub fn plan_grant(subject: &Subject, course: &CourseId, plan: &PlanId, forgotten: u32) -> GrantId {
    let again = forgotten.to_string();
    let mut parts = vec![subject.as_str(), course.as_str(), plan.as_str()];
    parts.extend((forgotten > 0).then_some(again.as_str()));
    GrantId(crate::ids::mark("grant", &parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Enrolment {
        Enrolment {
            course: "net".into(),
            subject: "lms.example.org#ada".into(),
            name: "Ada Lovelace".into(),
            cohort: Some("Été 2027".into()),
            site: None,
            coach: Some("prof".into()),
            external: Some("ada@example.org".into()),
            plan: Some("QUALIFYING".into()),
            enrolled_at: Timestamp(0),
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        assert_eq!(ada().problems(), []);
        let long = "é".repeat(FIELD_CHARS_MAX + 1);
        let wrong = Enrolment {
            subject: "".into(),
            name: long.clone(),
            cohort: Some("a\tb".into()),
            coach: Some(" prof".into()),
            ..ada()
        };
        let fields: Vec<_> = wrong.problems().iter().map(|p| p.field).collect();
        assert_eq!(fields, ["id", "coach", "name", "cohort"]);
        let longest = Enrolment {
            name: "é".repeat(FIELD_CHARS_MAX),
            ..ada()
        };
        assert_eq!(longest.problems(), [], "characters, not bytes");
        let forgotten = Enrolment {
            subject: crate::privacy::pseudonym([7; 32]),
            ..ada()
        };
        assert!(forgotten.problems()[0].remedy.contains("forgotten"));
    }

    #[test]
    fn one_person_one_course_one_plan_one_grant() {
        let of = |s: &str, c: &str, n| plan_grant(&s.into(), &c.into(), &"P".into(), n);
        assert_eq!(of("ada", "net", 0), of("ada", "net", 0));
        let others = [
            of("ada", "net", 1),
            of("ada", "ne", 0),
            of("lin", "net", 0),
            of("adan", "et", 0),
        ];
        assert!(others.iter().all(|o| *o != of("ada", "net", 0)));
    }
}
