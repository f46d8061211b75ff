//! Stage 7, metering: an append-only, zero-sum ledger in whole seconds.
//!
//! ```text
//!  issue        extern            ─► grant:<id>            (from `goodwill` what makes good for something)
//!  reserve      grant:<id>…       ─► hold:<session>        (chunks, before provisioning and while running)
//!  settle       hold:<session>    ─► used:<course>         (from the sandbox's own times)
//!               hold:<session>    ─► grant:<id>…           (the rest, newest piece first)
//!  void         hold:<session>    ─► grant:<id>…           (failed start)
//!  refund       used:<course>     ─► grant:<id>…           (with a reason; see [`refund_pieces`])
//!  expire       grant:<id>        ─► breakage              (what was left when it ended; a void)
//!  revoke       grant:<id>        ─► extern                (what was left when it was taken back; a void)
//! ```
//! Every transaction's entries sum to zero, and so does the ledger. Every transaction has a key made of what it is, so a
//! retry adds nothing, in any order.

mod alert;
mod cost;
mod reconcile;
mod statement;

use crate::{CourseId, GrantId, LabId, SessionId, Subject, Timestamp, TxId, provisioning::EndReason};
pub use alert::{
    ACCOUNTS_LEASE, ALERT_AT_PERCENT, Alert, AlertChannel, AlertOf, AlertSent, AlertState, Budget, BudgetOf,
    DELIVERY_TRIES_MAX, Delivery, DeliveryMark, DeliveryOutcome, Spending, retry_after,
};
pub use cost::{Cost, CostAccount, RATE_MAX, Rate, cost_of, euros};
pub use reconcile::{RECONCILE_LINES, ReconcileLine, Reconciliation, SessionSums};
use serde::{Deserialize, Serialize};
pub use statement::{
    Flow, GrantLine, Period, SessionLine, Statement, StatementFacts, StatementGrant, StatementOf, StatementSession,
    Totals,
};
use std::time::Duration;

/// Losses of a sandbox that its learner may have brought about, within [`LOSSES_WITHIN`], of which nothing is billed. One, so that an agent that
/// died of a fault of ours, or memory that ran out by mistake, costs nobody anything; no second one, so that nobody makes lab time without
/// end of it: who loses each of a day's runs pays all but one.
pub const UNBILLED_LOSSES_A_DAY: i64 = 1;
/// How long such a loss counts.
pub const LOSSES_WITHIN: Duration = Duration::from_hours(24);
/// Ends the reason of every use that is unbilled for this: how they are counted, and told by statements.
pub const FIRST_LOSS: &str = "first-loss";

/// Why nothing is billed of a loss that is one of the first.
pub fn first_loss(loss: EndReason) -> String {
    format!("{loss}+{FIRST_LOSS}")
}

/// Whether a use was unbilled for being one of the first losses.
pub fn is_first_loss(unbilled_reason: Option<&str>) -> bool {
    unbilled_reason.is_some_and(|r| r.split('+').any(|code| code == FIRST_LOSS))
}

/// An account's name as stored, e.g. `hold:0190…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Account {
    /// Where issued time comes from; its balance is minus everything ever granted.
    Extern,
    Grant(GrantId),
    Hold(SessionId),
    Used(CourseId),
    /// Time that was given and not used before it ended.
    Breakage,
    /// Minus the time that was given to make good for something.
    Goodwill,
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Extern => f.write_str("extern"),
            Self::Grant(id) => write!(f, "grant:{id}"),
            Self::Hold(id) => write!(f, "hold:{id}"),
            Self::Used(course) => write!(f, "used:{course}"),
            Self::Breakage => f.write_str("breakage"),
            Self::Goodwill => f.write_str("goodwill"),
        }
    }
}

impl From<Account> for String {
    fn from(a: Account) -> Self {
        a.to_string()
    }
}

impl TryFrom<String> for Account {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        let account = match s.split_once(':') {
            None if s == "extern" => Some(Self::Extern),
            None if s == "breakage" => Some(Self::Breakage),
            None if s == "goodwill" => Some(Self::Goodwill),
            Some(("grant", id)) => id.parse().ok().map(Self::Grant),
            Some(("hold", id)) => id.parse().ok().map(Self::Hold),
            Some(("used", course)) => Some(Self::Used(course.into())),
            _ => None,
        };
        account.ok_or(format!(
            "account {s:?} is none of extern, grant:<id>, hold:<session>, used:<course>, breakage, goodwill"
        ))
    }
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TxKind {
    Issue,
    Reserve,
    Settle,
    Void,
    Refund,
}

impl TxKind {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Reserve => "reserve",
            Self::Settle => "settle",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

/// One transaction, whose entries sum to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub kind: TxKind,
    /// What makes it this transaction, e.g. `reserve/<session>/3`. A repeat with the same entries adds nothing; with others
    /// it is an error.
    pub key: String,
    pub session: Option<SessionId>,
    pub reason: Option<String>,
    pub occurred_at: Timestamp,
    /// Seconds into (positive) and out of (negative) accounts.
    pub entries: Vec<(Account, i64)>,
}

impl Transaction {
    /// Its id, derived from its key alone.
    pub fn id(&self) -> TxId {
        TxId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, self.key.as_bytes()))
    }

    /// Whether the entries sum to zero and none is zero.
    pub fn is_balanced(&self) -> bool {
        self.entries.iter().map(|(_, s)| s).sum::<i64>() == 0 && self.entries.iter().all(|(_, s)| *s != 0)
    }
}

/// Seconds of use between the agent's own two clock readings: started seconds are not billed.
pub fn seconds_used(ready_us: u64, stop_us: u64) -> i64 {
    (stop_us.saturating_sub(ready_us) / 1_000_000) as i64
}

/// Splits a hold at settlement: `used` seconds are consumed from its pieces in the order they were drawn, the rest goes back.
/// Returns (seconds used, which may be less than asked when the hold is smaller; what each grant gets back).
pub fn split_hold(pieces: &[(GrantId, i64)], used: i64) -> (i64, Vec<(GrantId, i64)>) {
    let mut left = used.max(0);
    let mut back: Vec<(GrantId, i64)> = Vec::new();
    for &(grant, secs) in pieces {
        let take = secs.min(left);
        left -= take;
        if secs > take {
            match back.iter_mut().find(|(g, _)| *g == grant) {
                Some((_, s)) => *s += secs - take,
                None => back.push((grant, secs - take)),
            }
        }
    }
    (used.max(0) - left, back)
}

/// Which grants get a refund of `secs`, after `refunded` seconds that went back before: those that paid, the last one first. `paid`: in the
/// order of payment. `None` when so much is not left to give back.
pub fn refund_pieces(paid: &[(GrantId, i64)], refunded: i64, secs: i64) -> Option<Vec<(GrantId, i64)>> {
    let (mut skip, mut left) = (refunded.max(0), secs);
    let mut pieces: Vec<(GrantId, i64)> = Vec::new();
    for &(grant, paid) in paid.iter().rev() {
        let gone = skip.min(paid);
        skip -= gone;
        let give = (paid - gone).min(left).max(0);
        if give > 0 {
            left -= give;
            match pieces.iter_mut().find(|(g, _)| *g == grant) {
                Some((_, s)) => *s += give,
                None => pieces.push((grant, give)),
            }
        }
    }
    (secs > 0 && left == 0).then_some(pieces)
}

/// What each grant paid of a session: what was drawn for it less what its settlement gave back.
pub fn paid_pieces(drawn: &[(GrantId, i64)], used: i64) -> Vec<(GrantId, i64)> {
    let mut left = used.max(0);
    let mut paid = Vec::new();
    for &(grant, secs) in drawn {
        let take = secs.min(left);
        if take > 0 {
            paid.push((grant, take));
            left -= take;
        }
    }
    paid
}

/// One row of `labwire usage`: a session's sandbox time and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    pub session: SessionId,
    pub subject: Subject,
    pub course: CourseId,
    pub lab: LabId,
    pub requested_at: Timestamp,
    /// Whole seconds from the first prompt to the end, by the sandbox's clock.
    pub sandbox_seconds: i64,
    /// Of those, taken from grants. What was refunded since is not taken off: see `refunded_seconds`.
    pub billed_seconds: i64,
    /// Of the billed, given back since.
    pub refunded_seconds: i64,
    /// Of those, not taken, with the reason in `unbilled_reason`.
    pub unbilled_seconds: i64,
    pub unbilled_reason: Option<String>,
    /// What its sandbox cost, by the rate that it was admitted at; none without one.
    #[serde(default)]
    pub cost_micro_eur: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(n: u8) -> GrantId {
        GrantId(uuid::Uuid::from_u128(n.into()))
    }

    fn pieces() -> impl Strategy<Value = Vec<(GrantId, i64)>> {
        prop::collection::vec((0_u8..4, 1_i64..1000), 0..8)
            .prop_map(|v| v.into_iter().map(|(g, s)| (grant(g), s)).collect())
    }

    fn sum(pieces: &[(GrantId, i64)]) -> i64 {
        pieces.iter().map(|(_, s)| s).sum()
    }

    #[test]
    fn every_account_is_read_back_from_its_name() {
        for account in [
            Account::Extern,
            Account::Breakage,
            Account::Goodwill,
            Account::Grant(grant(1)),
            Account::Used("a:b".into()),
        ] {
            assert_eq!(Account::try_from(account.to_string()), Ok(account));
        }
        assert!(Account::try_from("gift".to_owned()).is_err());
    }

    proptest! {
        #[test]
        fn what_was_drawn_is_paid_or_given_back(drawn in pieces(), used in 0_i64..9000) {
            let (really, back) = split_hold(&drawn, used);
            let paid = paid_pieces(&drawn, used);
            prop_assert_eq!(sum(&paid), really);
            prop_assert_eq!(sum(&paid) + sum(&back), sum(&drawn));
        }

        #[test]
        fn refunds_give_back_what_was_paid_and_no_second_more(paid in pieces(), asks in prop::collection::vec(1_i64..1500, 1..6)) {
            let mut back: Vec<(GrantId, i64)> = Vec::new();
            for ask in asks {
                let refunded = sum(&back);
                match refund_pieces(&paid, refunded, ask) {
                    Some(given) => {
                        prop_assert_eq!(sum(&given), ask);
                        back.extend(given);
                    }
                    None => prop_assert!(ask > sum(&paid) - refunded),
                }
            }
            for (grant, _) in &back {
                let of = |p: &[(GrantId, i64)]| p.iter().filter(|(g, _)| g == grant).map(|(_, s)| s).sum::<i64>();
                prop_assert!(of(&back) <= of(&paid));
            }
        }
    }

    #[test]
    fn a_refund_goes_first_to_who_paid_last() {
        let paid = [(grant(1), 100), (grant(2), 50)];
        assert_eq!(refund_pieces(&paid, 0, 70), Some(vec![(grant(2), 50), (grant(1), 20)]));
        assert_eq!(refund_pieces(&paid, 70, 81), None, "refunded and refunded again");
        assert_eq!(refund_pieces(&paid, 0, 0), None);
    }
}
