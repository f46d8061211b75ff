//! What a person may do. Every rule is an exhaustive match or a list: a new role may do nothing until each of them says so.

use serde::{Deserialize, Serialize};

/// What a person may do. Checked on every route, and once more by what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Own sessions only.
    Learner,
    /// Sees, watches, helps and replays every session of the course, and what it used.
    Teacher,
    /// Sees, watches, helps and replays every session of the course; not what it used.
    Coach,
    /// Sees labs as they are published, with their checks; no learner.
    Author,
    /// Time of the course's learners: vouchers and grants; no session.
    Enrolment,
    /// How far the course's learners are, in counts; never a terminal.
    Manager,
    /// The statement of one sponsor.
    Sponsor,
    /// Sessions' states, usage and health of everything; no terminal contents.
    Operations,
}

/// Whose sessions a role may know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Nobodys,
    Own,
    Course,
    All,
}

/// What a login of a role is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// One course.
    Course,
    /// One sponsor.
    Sponsor,
    /// The whole installation.
    Nothing,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Learner,
        Self::Teacher,
        Self::Coach,
        Self::Author,
        Self::Enrolment,
        Self::Manager,
        Self::Sponsor,
        Self::Operations,
    ];

    /// The public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Learner => "learner",
            Self::Teacher => "teacher",
            Self::Coach => "coach",
            Self::Author => "author",
            Self::Enrolment => "enrolment",
            Self::Manager => "manager",
            Self::Sponsor => "sponsor",
            Self::Operations => "operations",
        }
    }

    /// Back from the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }

    /// All names, for who mistyped one.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Whether it is anybody but a learner: somebody who answers for others' work, time or data.
    pub const fn is_staff(self) -> bool {
        match self {
            Self::Learner => false,
            Self::Teacher
            | Self::Coach
            | Self::Author
            | Self::Enrolment
            | Self::Manager
            | Self::Sponsor
            | Self::Operations => true,
        }
    }

    /// What its login must name.
    pub const fn bound(self) -> Bound {
        match self {
            Self::Learner | Self::Teacher | Self::Coach | Self::Enrolment | Self::Manager => Bound::Course,
            Self::Sponsor => Bound::Sponsor,
            Self::Author | Self::Operations => Bound::Nothing,
        }
    }

    /// Whose sessions it may know of: that they are there, their state, their checks.
    pub const fn reach(self) -> Reach {
        match self {
            Self::Learner => Reach::Own,
            Self::Teacher | Self::Coach => Reach::Course,
            Self::Operations => Reach::All,
            Self::Author | Self::Enrolment | Self::Manager | Self::Sponsor => Reach::Nobodys,
        }
    }

    /// Whether it may see the terminals of the sessions within its reach, live or replayed.
    pub const fn sees_terminals(self) -> bool {
        match self {
            Self::Learner | Self::Teacher | Self::Coach => true,
            Self::Author | Self::Enrolment | Self::Manager | Self::Sponsor | Self::Operations => false,
        }
    }

    /// Whether it looks after the learners of a course, at work: the wall, and acting in their labs.
    pub const fn helps(self) -> bool {
        match self {
            Self::Teacher | Self::Coach => true,
            Self::Learner | Self::Author | Self::Enrolment | Self::Manager | Self::Sponsor | Self::Operations => false,
        }
    }

    /// Whether it may try a lab before learners have it: who answers for labs.
    pub const fn tries_labs(self) -> bool {
        match self {
            Self::Teacher | Self::Author | Self::Operations => true,
            Self::Learner | Self::Coach | Self::Enrolment | Self::Manager | Self::Sponsor => false,
        }
    }

    /// Whether it may read what sessions used: within its reach, and without what machines cost.
    pub const fn sees_usage(self) -> bool {
        match self {
            Self::Learner | Self::Teacher | Self::Operations => true,
            Self::Coach | Self::Author | Self::Enrolment | Self::Manager | Self::Sponsor => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_said_by_serde() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.name()));
        }
        assert_eq!(Role::from_name("Teacher"), None);
    }

    #[test]
    fn terminals_are_for_who_reaches_learners_at_work_and_never_for_counts_or_money() {
        for role in Role::ALL {
            let at_work = matches!(role.reach(), Reach::Own | Reach::Course);
            assert_eq!(role.sees_terminals(), at_work, "{role:?}");
            assert!(!role.helps() || role.sees_terminals(), "{role:?}");
        }
    }
}
