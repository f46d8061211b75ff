//! One person: what is here of them, who looked, and how they are forgotten.

use super::Acknowledgement;
use crate::{
    CourseId, GrantId, LabId, PlanId, SessionId, Subject, Timestamp,
    courses::{Enrolment, Extension},
    entitlement::Withheld,
    launch::{Login, Role, lti::SamePerson},
};
use serde::Serialize;
use std::time::Duration;

/// Looks told at once: more than a course of a learner has; whoever wants all asks on.
pub const LOOKS_PAGE: u32 = 500;

/// People told at once.
pub const PEOPLE_PAGE: u32 = 1000;

/// A wall that was opened may have stayed open for so long, a working day: whoever started a lab meanwhile may have been on it.
pub const WALL_SPAN: Duration = Duration::from_hours(12);

/// Who is forgotten is named like this, and a random number.
const PSEUDONYM_PREFIX: &str = "erased:";

/// A name that says nothing, from randomness.
pub fn pseudonym(random: [u8; 32]) -> Subject {
    let hex = blake3::Hash::from_bytes(random).to_hex();
    Subject(format!("{PSEUDONYM_PREFIX}{}", &hex[..32]))
}

/// Whether nobody is named by it.
pub fn is_pseudonym(subject: &Subject) -> bool {
    subject.as_str().starts_with(PSEUDONYM_PREFIX)
}

/// Somebody looked at a learner's work, or took it along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Grows with time; what a further page is asked by.
    pub id: i64,
    pub at: Timestamp,
    /// Who.
    pub name: String,
    pub role: Role,
    /// As of [`crate::port::AuditEvent`].
    pub action: String,
    /// Missing for the wall of a course, and for what was done to all of a person's data.
    pub session: Option<SessionId>,
    pub lab: Option<LabId>,
    pub course: Option<CourseId>,
    pub detail: String,
}

/// A person in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonSummary {
    pub subject: Subject,
    /// One they were shown by; empty when none is kept.
    pub name: String,
    pub sessions: u64,
    /// Of those, not over.
    pub live: u64,
    pub grants: u64,
    /// When they were last given or did something.
    pub last_at: Timestamp,
}

/// How much is here of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    pub sessions: u64,
    /// Recordings that can be read.
    pub recordings: u64,
    pub checks: u64,
    pub grants: u64,
    pub logins: u64,
    pub vouchers: u64,
    pub notices: u64,
    /// Courses that list them, and people whom they coach there.
    pub enrolments: u64,
    /// Courses that they have longer than the others.
    pub extensions: u64,
    /// Ids that are one person with theirs.
    pub aliases: u64,
    /// Courses whose launches asked for lab time that was not given.
    pub withheld: u64,
    /// Lines of the audit log that they wrote, or that are about them by name.
    pub audit: u64,
}

impl Footprint {
    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they were ever here, or somebody put them on a list: lines of the audit log alone are of an id that somebody asked about.
    pub fn is_known(&self) -> bool {
        !Self { audit: 0, ..*self }.is_empty()
    }
}

/// What is kept of a person beside sessions, grants and the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Tabs that are signed in, or were within the last day.
    pub logins: Vec<Login>,
    pub notices: Vec<Acknowledgement>,
    /// What courses' organisers wrote of them.
    pub enrolments: Vec<Enrolment>,
    pub vouchers: Vec<RedeemedVoucher>,
    /// By alias.
    pub aliases: Vec<SamePerson>,
    /// By course.
    pub extensions: Vec<Extension>,
    /// By course.
    pub withheld: Vec<Withheld>,
}

/// A code that a person redeemed; the code itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedeemedVoucher {
    pub label: String,
    pub course: CourseId,
    pub plan: PlanId,
    pub redeemed_at: Timestamp,
    pub grant: GrantId,
}

/// A person is forgotten.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub subject: Subject,
    /// What stands instead of them from now on.
    pub pseudonym: Subject,
    pub by: Subject,
    pub by_name: String,
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// What there was. Nothing, when they were forgotten before, or never here.
    Done(Footprint),
    /// Refused: these sessions of theirs are not over.
    Live(Vec<SessionId>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_says_nothing_and_is_known_as_one() {
        let one = pseudonym([7; 32]);
        assert_eq!(one.as_str(), "erased:07070707070707070707070707070707");
        assert!(is_pseudonym(&one));
        assert!(!is_pseudonym(&"ada".into()));
    }
}
