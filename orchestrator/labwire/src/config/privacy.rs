//! What learners are told, and how long what is kept.

use super::{
    Problem,
    read::{DURATION, duration},
    reader::Section,
};
use lab_core::privacy::{CONTACT_CHARS_MAX, Class, Notice, Retention};
use serde_json::json;
use std::time::Duration;

/// See [`Notice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivacyConfig {
    pub notice: Notice,
    /// How often what has had its time is looked for.
    pub every: Duration,
}

const DAY: u64 = 24 * 3600;

/// The least that an installation keeps who looked, days: CNIL's deliberation 2021-122 names six months. Less is allowed, and warned of.
const AUDIT_ADVISED: Duration = Duration::from_secs(180 * DAY);

impl PrivacyConfig {
    pub(super) fn shown(&self) -> serde_json::Value {
        let r = &self.notice.retention;
        json!({
            "contact": self.notice.contact,
            "retention": {
                "recordings": time(r.recordings),
                "exam_recordings": time(r.exam_recordings),
                "actions": time(r.actions),
                "audit": time(r.audit),
                "every": time(self.every),
            },
        })
    }

    /// How long things of a class are kept, as in the file.
    pub fn kept(&self, class: Class) -> String {
        let r = &self.notice.retention;
        match class {
            Class::Recordings => format!("{} (exams {})", time(r.recordings), time(r.exam_recordings)),
            Class::Checks | Class::Names => time(r.actions),
            Class::Audit => time(r.audit),
        }
    }

    /// What is allowed and unwise, in words.
    pub fn warning(&self) -> Option<&'static str> {
        (self.notice.retention.audit < AUDIT_ADVISED)
            .then_some("who looked at whom is kept for less than six months (setting: privacy.retention.audit)")
    }
}

/// A time as it is written in the file.
fn time(d: Duration) -> String {
    match d.as_secs() {
        secs if secs > 0 && secs % DAY == 0 => format!("{}d", secs / DAY),
        secs => format!("{secs}s"),
    }
}

/// As elsewhere in the file, and days.
fn days(text: &str) -> Option<Duration> {
    match text.strip_suffix('d') {
        Some(days) => days
            .parse::<u64>()
            .ok()
            // a hundred years; what is longer is a slip of the keys
            .filter(|n| (1..=36_500).contains(n))
            .map(|n| Duration::from_secs(n * DAY)),
        None => duration(text),
    }
}

pub(super) fn read(mut s: Section, problems: &mut Vec<Problem>) -> PrivacyConfig {
    let remedy = "write one line of 1 to 200 characters: whom learners can ask about their data";
    let contact = s.parsed("contact", None, remedy, problems, |c| {
        let c = c.trim();
        let fits = (1..=CONTACT_CHARS_MAX).contains(&c.chars().count()) && !c.chars().any(char::is_control);
        fits.then(|| c.to_owned())
    });
    let mut r = s.section("retention", problems);
    let usual = Retention::default();
    let remedy = "write a time like 30d, 12h or 90s";
    let mut kept = |key, usual| r.parsed(key, None, remedy, problems, days).unwrap_or(usual);
    let retention = Retention {
        recordings: kept("recordings", usual.recordings),
        exam_recordings: kept("exam_recordings", usual.exam_recordings),
        actions: kept("actions", usual.actions),
        audit: kept("audit", usual.audit),
    };
    let every = r.parsed("every", None, DURATION, problems, duration);
    r.close(problems);
    s.close(problems);
    PrivacyConfig {
        notice: Notice { contact, retention },
        every: every.unwrap_or(lab_app::privacy::SWEEP_EVERY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_times_too() {
        assert_eq!(days("30d"), Some(Duration::from_secs(30 * DAY)));
        assert_eq!(days("90s"), Some(Duration::from_secs(90)));
        for wrong in ["0d", "d", "-1d", "99999d", "30", "0s"] {
            assert_eq!(days(wrong), None, "{wrong}");
        }
        assert_eq!(time(Duration::from_secs(DAY)), "1d");
        assert_eq!(time(Duration::from_secs(90)), "90s");
    }
}
