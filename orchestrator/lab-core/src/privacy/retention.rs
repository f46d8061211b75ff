//! How long what is kept.

use crate::{SessionId, Timestamp};
use serde::Serialize;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// Times by class of data. The ledger is in none: it is kept, and names nobody but by the person's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// After the session's end.
    pub recordings: Duration,
    /// The same under a plan with the feature `exam`: until nobody can appeal any more.
    pub exam_recordings: Duration,
    /// Outcomes of checks; after the session's end also the name shown with it, which becomes the person's id.
    pub actions: Duration,
    /// Who looked at whom, and what operations did.
    pub audit: Duration,
}

impl Default for Retention {
    /// Recordings 30 days: whoever wants to see one again does so within the course's next weeks. Exams a year: appeals are over
    /// by then. The rest 12 months, which is what CNIL's deliberation 2021-122 names for logs of access.
    fn default() -> Self {
        Self {
            recordings: 30 * DAY,
            exam_recordings: 365 * DAY,
            actions: 365 * DAY,
            audit: 365 * DAY,
        }
    }
}

impl Retention {
    /// What is as old as this has had its time.
    pub fn before(&self, now: Timestamp) -> Before {
        Before {
            recordings: now.minus(self.recordings),
            exam_recordings: now.minus(self.exam_recordings),
            actions: now.minus(self.actions),
            audit: now.minus(self.audit),
        }
    }
}

/// See [`Retention::before`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub recordings: Timestamp,
    pub exam_recordings: Timestamp,
    pub actions: Timestamp,
    pub audit: Timestamp,
}

/// What is kept and goes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Recordings, exams' included.
    Recordings,
    /// Outcomes of checks.
    Checks,
    /// Names shown with sessions.
    Names,
    Audit,
}

impl Class {
    /// In the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Recordings, Self::Checks, Self::Names, Self::Audit];

    /// Stored name, and metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Checks => "checks",
            Self::Names => "names",
            Self::Audit => "audit",
        }
    }

    /// Back from the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// Since when things of this class have had their time, but for recordings, of which exams are kept longer.
    pub fn before(self, before: &Before) -> Timestamp {
        match self {
            Self::Recordings => before.recordings,
            Self::Checks | Self::Names => before.actions,
            Self::Audit => before.audit,
        }
    }
}

/// How much of a class has had its time and is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub class: Class,
    pub count: u64,
    /// How long the first of it has had its time.
    pub overdue: Duration,
}

/// What the sweep did of a class so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRun {
    pub class: Class,
    /// When something went last.
    pub at: Timestamp,
    pub removed: u64,
}

/// A recording whose objects are to go: nobody can read or write it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    pub session: SessionId,
    /// The first look deleted what was there; this one is for what a late recorder put since.
    pub again: bool,
}

/// A recorder that was at work when its recording was removed may have an object under way, which no row will ever name. It is tried for
/// ten minutes at most (`FINISH_PATIENCE` of `lab-app`); an hour later none comes any more, and the folder is looked at once again.
pub const SECOND_LOOK: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_name_of_its_own_and_is_found_by_it() {
        for class in Class::ALL {
            assert_eq!(Class::from_name(class.name()), Some(class));
        }
        assert_eq!(Class::from_name("ledger"), None, "the ledger has no end");
    }

    #[test]
    fn what_is_older_than_its_time_is_before() {
        let now = Timestamp::from_secs(100 * 86_400);
        let before = Retention::default().before(now);
        assert_eq!(before.recordings, Timestamp::from_secs(70 * 86_400));
        assert!(before.exam_recordings < before.recordings);
        assert_eq!(Class::Audit.before(&before), before.audit);
    }
}
