//! What operations see and decide of a whole installation, beside the seven stages.

use crate::{LabId, Subject, Timestamp, port::Lease, provisioning::EndReason};
use serde::{Deserialize, Serialize};

/// Longest reason of a pause: two sentences, which a phone shows without scrolling.
pub const PAUSE_REASON_CHARS_MAX: usize = 280;

/// Farthest announced end of a pause, minutes: a week. Later than that is not a pause but a date that was mistyped.
pub const PAUSE_MINUTES_MAX: u32 = 7 * 24 * 60;

/// New launches are refused, cluster-wide, until somebody lifts it. Sessions that were admitted before go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPause {
    /// Told to learners as it is.
    pub reason: String,
    /// When learners are told to come back. An announcement only: nothing is lifted by itself, because work that takes longer than
    /// planned must not be surprised by a class.
    pub until: Option<Timestamp>,
    /// Since when, through every change of reason.
    pub since: Timestamp,
    /// Who said it last.
    pub by: Subject,
    pub by_name: String,
}

/// A person pauses launches, says another reason, or lifts the pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseChange {
    /// `None` lifts it.
    pub to: Option<PauseNotice>,
    pub by: Subject,
    pub by_name: String,
    pub at: Timestamp,
}

/// What learners are told while launches are paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseNotice {
    pub reason: String,
    pub until: Option<Timestamp>,
}

impl PauseNotice {
    /// Checks what a person typed. `minutes` from `now` is when learners are told to come back.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub fn new(reason: &str, minutes: Option<u32>, now: Timestamp) -> Result<Self, String> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err("reason: must say something; learners read it while they wait".into());
        }
        let chars = reason.chars().count();
        if chars > PAUSE_REASON_CHARS_MAX {
            return Err(format!(
                "reason: has {chars} characters; at most {PAUSE_REASON_CHARS_MAX} are shown"
            ));
        }
        if reason.chars().any(char::is_control) {
            return Err("reason: must be one line without control characters".into());
        }
        if let Some(m) = minutes.filter(|m| !(1..=PAUSE_MINUTES_MAX).contains(m)) {
            return Err(format!("minutes: {m} is not within 1 to {PAUSE_MINUTES_MAX} (a week)"));
        }
        Ok(Self {
            reason: reason.to_owned(),
            until: minutes.map(|m| now.plus(std::time::Duration::from_secs(u64::from(m) * 60))),
        })
    }
}

/// Sessions that are not over, in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// [`crate::provisioning::SessionState::name`].
    pub state: String,
    pub count: u64,
}

/// Sessions of one lab that went wrong for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCount {
    /// A [`crate::provisioning::FailReason`]'s code, or of those that were usable the end's.
    pub reason: String,
    /// It had been usable: a learner lost work, and not only time.
    pub after_ready: bool,
    pub lab: LabId,
    pub count: u64,
    pub last_at: Timestamp,
}

impl EndReason {
    /// The learner did not end it, nor a limit they knew of: something of ours broke.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::SandboxLost | Self::OutOfMemory | Self::OutOfDisk | Self::AgentLost | Self::RecordingFailed
        )
    }
}

/// Leases, without a row for each of thousands of recorders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseReport {
    /// Of the background tasks, by name; also those that nobody holds now (without a holder, or expired).
    pub tasks: Vec<Lease>,
    /// Recorders' leases that hold now, by holder.
    pub recorders: Vec<RecorderLeases>,
}

/// The recordings that one process writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderLeases {
    pub holder: String,
    pub sessions: u64,
    /// The first of them to expire.
    pub expires_at: Timestamp,
}

/// The name of a session's recorder lease begins like this; every other lease is a task's.
pub const RECORDER_LEASE_PREFIX: &str = "recorder/";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn a_notice_is_trimmed_and_says_when_to_come_back() {
        let notice = PauseNotice::new("  New disks. ", Some(30), NOW).unwrap();
        assert_eq!(notice.reason, "New disks.");
        assert_eq!(notice.until.unwrap().since(NOW).as_secs(), 1800);
        assert_eq!(PauseNotice::new("x", None, NOW).unwrap().until, None);
    }

    #[test]
    fn what_is_wrong_with_a_notice_names_the_field() {
        let long = "é".repeat(PAUSE_REASON_CHARS_MAX + 1);
        for (reason, minutes, field) in [
            (" ", None, "reason"),
            (long.as_str(), None, "reason"),
            ("two\nlines", None, "reason"),
            ("fine", Some(0), "minutes"),
            ("fine", Some(PAUSE_MINUTES_MAX + 1), "minutes"),
        ] {
            let said = PauseNotice::new(reason, minutes, NOW).unwrap_err();
            assert!(said.starts_with(field), "{said}");
        }
        assert!(PauseNotice::new(&long[2..], Some(PAUSE_MINUTES_MAX), NOW).is_ok());
    }
}
