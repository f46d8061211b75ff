//! What the wall reads of a hub without asking it anything.

use lab_core::{TerminalIndex, Timestamp, journal::CheckOutcome};

/// Facts for one card; published whenever they change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glance {
    /// The terminal last written to.
    pub terminal: TerminalIndex,
    /// Output bytes of all terminals so far: a picture taken at the same number is still right.
    pub output: u64,
    pub last_command: Option<String>,
    /// When the learner last entered a command, or a check passed that had not before; our clock.
    pub progress_at: Option<Timestamp>,
    /// True while the agent cannot be reached after it was.
    pub away: bool,
    /// Tabs attached to this hub.
    pub attached: usize,
    /// Names of who watches.
    pub viewers: Vec<String>,
    pub outcomes: Vec<CheckOutcome>,
}
