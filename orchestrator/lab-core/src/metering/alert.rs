//! Who is told that time or money runs low, once each.
//!
//! A share is what was taken from grants (used, or held by labs that run) of what was given: the same seconds that a launch is refused for.
//! A new grant or another budget is another *basis*, of which each threshold is told anew.

use crate::{CourseId, SponsorId, Subject, Timestamp, privacy::is_pseudonym};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Told at these shares.
pub const ALERT_AT_PERCENT: [u8; 3] = [50, 80, 100];

/// What a course or a sponsor may spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub of: BudgetOf,
    pub seconds: i64,
}

/// Whose budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOf {
    Course(CourseId),
    Sponsor(SponsorId),
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum AlertOf {
    Learner {
        subject: Subject,
        course: CourseId,
    },
    Course {
        course: CourseId,
    },
    Sponsor {
        sponsor: SponsorId,
    },
    /// The day's reconciliation found a difference.
    Ledger,
}

impl AlertOf {
    /// The stored name, and the metric's label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Learner { .. } => "learner",
            Self::Course { .. } => "course",
            Self::Sponsor { .. } => "sponsor",
            Self::Ledger => "ledger",
        }
    }

    /// Of somebody who was forgotten: their grants stay, and nobody is told of them.
    pub fn is_of_nobody(&self) -> bool {
        matches!(self, Self::Learner { subject, .. } if is_pseudonym(subject))
    }
}

impl From<BudgetOf> for AlertOf {
    fn from(of: BudgetOf) -> Self {
        match of {
            BudgetOf::Course(course) => Self::Course { course },
            BudgetOf::Sponsor(sponsor) => Self::Sponsor { sponsor },
        }
    }
}

/// How much of something is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    pub of: AlertOf,
    /// Seconds given, or the budget.
    pub basis: i64,
    /// Seconds used or held of them.
    pub spent: i64,
}

impl Spending {
    /// The alert that is due: of the highest threshold reached. Whoever jumps over two is told of one.
    pub fn alert(self, at: Timestamp) -> Option<Alert> {
        let reached = |percent: &u8| {
            self.basis > 0 && i128::from(self.spent) * 100 >= i128::from(self.basis) * i128::from(*percent)
        };
        let percent = ALERT_AT_PERCENT.into_iter().rfind(reached)?;
        Some(Alert {
            of: self.of,
            percent,
            basis: self.basis,
            spent: self.spent,
            at,
        })
    }
}

/// Something that is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    #[serde(flatten)]
    pub of: AlertOf,
    /// The threshold; 0 of the ledger.
    pub percent: u8,
    /// Seconds given, or the budget; of the ledger the day, as days since 1970.
    pub basis: i64,
    /// Seconds used or held; of the ledger those that are not accounted for.
    pub spent: i64,
    pub at: Timestamp,
}

impl Alert {
    /// What it is about and of which basis; of one line, only higher thresholds are told later.
    pub fn line(&self) -> String {
        let named = match &self.of {
            AlertOf::Learner { subject, course } => {
                return format!("{}{course}/{}", Self::lines_of(subject), self.basis);
            }
            AlertOf::Course { course } => course.to_string(),
            AlertOf::Sponsor { sponsor } => sponsor.to_string(),
            AlertOf::Ledger => String::new(),
        };
        format!("{}/{named}/{}", self.of.kind(), self.basis)
    }

    /// What the lines of a learner begin with, and no other's: the length says where the name ends.
    pub fn lines_of(subject: &Subject) -> String {
        format!("learner/{}:{subject}/", subject.as_str().len())
    }

    /// Its unique key.
    pub fn key(&self) -> String {
        format!("{}/{}", self.line(), self.percent)
    }

    /// The reconciliation of a day does not add up.
    pub fn of_ledger(off_secs: i64, at: Timestamp) -> Self {
        Self {
            of: AlertOf::Ledger,
            percent: 0,
            basis: at.secs().div_euclid(86_400),
            spent: off_secs,
            at,
        }
    }
}

/// How an alert goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertChannel {
    Webhook,
    Mail,
}

impl AlertChannel {
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Mail];

    /// The stored name, and the metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

/// The lease under which alerts are raised and sent, and the ledger is reconciled.
pub const ACCOUNTS_LEASE: &str = "accounts";

/// An alert that is to be sent by a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub alert: Alert,
    pub channel: AlertChannel,
    /// How often it was tried.
    pub attempts: u32,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryMark {
    /// Epoch of [`ACCOUNTS_LEASE`]; one that is not the lease's newest is refused.
    pub epoch: u64,
    /// [`Alert::key`].
    pub alert: String,
    pub channel: AlertChannel,
    pub outcome: DeliveryOutcome,
    pub at: Timestamp,
}

/// See [`DeliveryMark`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Sent,
    /// Tried again at that time.
    Failed {
        code: String,
        again_at: Timestamp,
    },
    GivenUp {
        code: String,
    },
}

/// An alert with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertState {
    pub alert: Alert,
    pub sent: Vec<AlertSent>,
}

/// One channel of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSent {
    pub channel: AlertChannel,
    pub attempts: u32,
    pub sent_at: Option<Timestamp>,
    pub given_up: bool,
    /// Of the last try that failed.
    pub code: Option<String>,
}

/// The first pause between two tries, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_hours(1);

/// Tries before an alert is given up: 9 that double up to the hour, then 55 of three quarters of an hour on average, so about two days: a
/// mail server that is mended on Monday still gets what was raised on Saturday.
pub const DELIVERY_TRIES_MAX: u32 = 64;

/// When a delivery that failed `attempts` times is tried again. `random` spreads those that failed together: between half and the whole of
/// the pause.
pub fn retry_after(attempts: u32, random: u64) -> Duration {
    let pause = RETRY_FIRST
        .saturating_mul(1 << attempts.saturating_sub(1).min(10))
        .min(RETRY_MAX);
    let half = pause / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spending(basis: i64, spent: i64) -> Spending {
        let course = "net".into();
        Spending {
            of: AlertOf::Course { course },
            basis,
            spent,
        }
    }

    #[test]
    fn the_highest_threshold_that_is_reached_is_told() {
        let percent = |basis, spent| spending(basis, spent).alert(Timestamp(0)).map(|a| a.percent);
        assert_eq!(percent(1000, 499), None);
        assert_eq!(percent(1000, 500), Some(50));
        assert_eq!(percent(1000, 799), Some(50));
        assert_eq!(percent(1000, 800), Some(80));
        assert_eq!(percent(1000, 5000), Some(100));
        assert_eq!(percent(0, 0), None, "nothing given is nothing spent");
        assert_eq!(percent(i64::MAX, i64::MAX), Some(100));
    }

    #[test]
    fn another_basis_is_another_line_and_names_cannot_be_mixed_up() {
        let alert = |basis, spent| spending(basis, spent).alert(Timestamp(0)).unwrap();
        assert_eq!(alert(1000, 500).line(), alert(1000, 800).line());
        assert_ne!(alert(1000, 500).key(), alert(1000, 800).key());
        assert_ne!(alert(1000, 500).line(), alert(1001, 900).line());
        let learner = |subject: &str, course: &str| Alert {
            of: AlertOf::Learner {
                subject: subject.into(),
                course: course.into(),
            },
            ..alert(1000, 500)
        };
        assert_ne!(learner("a/b", "c").key(), learner("a", "b/c").key());
    }

    proptest! {
        #[test]
        fn a_pause_grows_to_an_hour_and_is_never_nothing(attempts in 1_u32..200, random: u64) {
            let pause = retry_after(attempts, random);
            prop_assert!(pause >= RETRY_FIRST / 2 && pause <= RETRY_MAX);
        }
    }
}
