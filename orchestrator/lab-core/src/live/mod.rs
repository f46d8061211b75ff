//! Stage 6, live: what a teacher sees of a whole course.

mod screen;

pub use screen::*;

use crate::{LabId, SessionId, Subject};
use serde::{Deserialize, Serialize};

/// One learner on the wall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub session: SessionId,
    pub subject: Subject,
    pub name: String,
    pub lab: LabId,
    /// Session state name.
    pub state: String,
    pub reason: Option<String>,
    /// The terminal last typed in or written to.
    pub terminal: String,
    /// Its screen as text lines, without colours, at most 24 × 80.
    pub screen: Vec<String>,
    pub last_command: Option<String>,
    /// Seconds since the last command or newly passed check.
    pub idle_s: u64,
    pub checks_passed: u32,
    pub checks_total: u32,
    pub points: u32,
    pub points_total: u32,
    /// True while the agent cannot be reached.
    pub away: bool,
    /// Names of who watches.
    pub viewers: Vec<String>,
}
