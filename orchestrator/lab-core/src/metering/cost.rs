//! What lab time costs whoever runs the machines, in millionths of a euro. Never mixed with lab-seconds: what a learner may use does not
//! change with what a machine costs.
//!
//! A session's rate is that of its lab's size when it was admitted, and stays: a card that is changed changes no session that runs. What
//! a sandbox cost while it was kept warm for nobody is `overhead`.

use crate::{LabId, SandboxId, SessionId, Timestamp, lab::SizeClass};
use serde::{Deserialize, Serialize};

/// What one size costs a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Of the card it stands on, e.g. `2026-11`.
    pub version: String,
    pub size: SizeClass,
    pub micro_eur_per_second: i64,
}

/// Dearest rate: a euro a second. A machine of a hundred euros an hour is 27 778.
pub const RATE_MAX: i64 = 1_000_000;

/// Whom a cost is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostAccount {
    /// A learner's run.
    Session,
    /// A sandbox that was kept warm.
    Overhead,
}

impl CostAccount {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Overhead => "overhead",
        }
    }
}

/// One thing that was paid for. Written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub account: CostAccount,
    pub sandbox: SandboxId,
    /// With [`CostAccount::Session`].
    pub session: Option<SessionId>,
    pub lab: LabId,
    pub seconds: i64,
    /// Of the card it was counted by.
    pub version: String,
    pub micro_eur: i64,
    pub booked_at: Timestamp,
}

impl Cost {
    /// What makes it this cost: a repeat adds nothing.
    pub fn key(&self) -> String {
        match self.session {
            Some(session) => format!("{}/{session}", self.account.name()),
            None => format!("{}/{}", self.account.name(), self.sandbox),
        }
    }
}

/// What `seconds` cost at a rate; far from overflow: a century at [`RATE_MAX`] is 3·10^15.
pub fn cost_of(seconds: i64, micro_eur_per_second: i64) -> i64 {
    seconds.max(0).saturating_mul(micro_eur_per_second.clamp(0, RATE_MAX))
}

/// Micro-euros as people read them, rounded half up to a cent.
pub fn euros(micro_eur: i64) -> String {
    let cents = micro_eur.saturating_add(5_000).div_euclid(10_000);
    format!(
        "{}{}.{:02}",
        if cents < 0 { "-" } else { "" },
        cents.abs() / 100,
        cents.abs() % 100
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_seconds_times_rate_and_is_read_in_cents() {
        assert_eq!(cost_of(3600, 28), 100_800);
        assert_eq!(cost_of(-5, 28), 0);
        assert_eq!(cost_of(100 * 366 * 86_400, RATE_MAX), 3_162_240_000_000_000);
        assert_eq!(euros(100_800), "0.10");
        assert_eq!(euros(4_999), "0.00");
        assert_eq!(euros(5_000), "0.01");
        assert_eq!(euros(12_345_678_900), "12345.68");
    }
}
