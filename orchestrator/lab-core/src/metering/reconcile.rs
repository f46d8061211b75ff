//! Whether every second is accounted for: sums made twice, from different tables.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// What sessions say of themselves, added up: the other side of the ledger's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionSums {
    /// Of settled sessions, as they were settled.
    pub sandbox: i64,
    pub billed: i64,
    pub unbilled: i64,
    /// Given back since.
    pub refunded: i64,
    /// Held by sessions that are not over.
    pub held: i64,
}

/// One line: what should be the same, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileLine {
    /// A [`RECONCILE_LINES`]' code.
    pub what: String,
    pub left: i64,
    pub right: i64,
}

/// Every line that is made.
pub const RECONCILE_LINES: [(&str, &str); 5] = [
    ("entries", "all entries of the ledger, and nothing"),
    ("kept", "sums as kept and as counted again (held)"),
    ("used", "used in the ledger, and billed less refunded by session"),
    ("held", "held in the ledger, and by live sessions"),
    ("sandbox", "sandbox time, and billed with unbilled"),
];

/// A reconciliation that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub at: Timestamp,
    pub lines: Vec<ReconcileLine>,
}

impl Reconciliation {
    /// Seconds that are not accounted for.
    pub fn off_secs(&self) -> i64 {
        self.lines.iter().map(|l| (l.left - l.right).abs()).sum()
    }

    /// Seconds used, by the ledger.
    pub fn used_secs(&self) -> i64 {
        self.lines.iter().find(|l| l.what == "used").map_or(0, |l| l.left)
    }
}
