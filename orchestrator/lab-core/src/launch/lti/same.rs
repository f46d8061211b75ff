//! One person by two ids: a platform names the same learner anew in each course by LTI 1.1, and otherwise again by LTI 1.3. That two ids are
//! one person is never guessed; somebody says so.

use crate::{Subject, Timestamp};

/// `alias` is `subject`: who launches as the one is the other. Never a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamePerson {
    pub alias: Subject,
    pub subject: Subject,
    pub at: Timestamp,
    /// Who said so.
    pub by: Subject,
}

/// Why two ids cannot be made one.
pub fn same_person_problem(same: &SamePerson, all: &[SamePerson]) -> Option<String> {
    let (alias, subject) = (&same.alias, &same.subject);
    if alias == subject {
        return Some(format!("{alias} is {subject} already"));
    }
    if let Some(known) = all.iter().find(|s| s.alias == *alias && s.subject != *subject) {
        return Some(format!(
            "{alias} is {} already; `labwire person unlink {alias}` first",
            known.subject
        ));
    }
    if let Some(chain) = all.iter().find(|s| s.alias == *subject) {
        return Some(format!("{subject} is {} itself; link {alias} to that", chain.subject));
    }
    all.iter().find(|s| s.subject == *alias).map(|chain| {
        format!(
            "{} is {alias} already; link both to {subject}, after `labwire person unlink`",
            chain.alias
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(alias: &str, subject: &str) -> SamePerson {
        SamePerson {
            alias: alias.into(),
            subject: subject.into(),
            at: Timestamp(0),
            by: "cli".into(),
        }
    }

    #[test]
    fn a_person_is_never_themselves_nor_at_the_end_of_a_chain() {
        let known = [same("lti:fun#1", "lms#ada")];
        let problem = |alias, subject| same_person_problem(&same(alias, subject), &known);
        assert_eq!(problem("lti:fun#1", "lms#ada"), None, "again");
        assert_eq!(problem("lti:fun#2", "lms#ada"), None);
        for (alias, subject) in [
            ("x", "x"),
            ("lti:fun#1", "lms#zoe"),
            ("lti:fun#3", "lti:fun#1"),
            ("lms#ada", "lms#zoe"),
        ] {
            assert!(problem(alias, subject).is_some(), "{alias} {subject}");
        }
    }
}
