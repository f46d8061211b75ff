//! What learners are told before their first session.

use super::Retention;
use crate::{Subject, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Counts up when the pages' texts say something else than before.
pub const NOTICE_REVISION: u32 = 1;

/// Longest contact: a name, an address and a telephone number.
pub const CONTACT_CHARS_MAX: usize = 200;

/// Which notice: what it says, hashed. Not a number somebody must remember to raise: whoever changes a time or the contact tells
/// everybody anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoticeVersion(pub String);

impl NoticeVersion {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an installation says in its notice; the sentences around it are the pages'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Whom to ask; none: the course team.
    pub contact: Option<String>,
    pub retention: Retention,
}

impl Notice {
    /// Of the sentences and of what stands in them.
    pub fn version(&self) -> NoticeVersion {
        let r = &self.retention;
        let mut hash = blake3::Hasher::new();
        for time in [r.recordings, r.exam_recordings, r.actions, r.audit] {
            hash.update(&time.as_secs().to_be_bytes());
        }
        hash.update(self.contact.as_deref().unwrap_or_default().as_bytes());
        let hex = hash.finalize().to_hex();
        NoticeVersion(format!("{NOTICE_REVISION}-{}", &hex[..8]))
    }
}

/// Somebody was told. No consent: nothing depends on it but that they are not told again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub subject: Subject,
    pub version: NoticeVersion,
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn whoever_changes_what_the_notice_says_tells_everybody_anew() {
        let notice = Notice::default();
        let longer = Notice {
            retention: Retention {
                recordings: Duration::from_hours(24 * 60),
                ..Retention::default()
            },
            ..Notice::default()
        };
        let other = Notice {
            contact: Some("dpo@example.org".into()),
            ..Notice::default()
        };
        assert_eq!(notice.version(), Notice::default().version());
        assert_ne!(notice.version(), longer.version());
        assert_ne!(notice.version(), other.version());
        assert!(notice.version().as_str().starts_with("1-"));
    }
}
