//! What is stored for the administration: statements, budgets and alerts, costs, reconciliations. Part of [`super::Store`], in a trait of
//! its own.

use super::StoreError;
use crate::{
    SponsorId, Subject, Timestamp,
    metering::{
        Alert, AlertChannel, AlertState, Budget, Cost, Delivery, DeliveryMark, Rate, Reconciliation, SessionSums,
        Spending, StatementFacts, StatementOf,
    },
};
use async_trait::async_trait;

/// Alerts that are shown: a week of a large installation.
pub const ALERTS_SHOWN: u32 = 100;

/// Deliveries of one look: of ten seconds each at worst, which a lease outlives by being asked for between two.
pub const DELIVERIES_AT_ONCE: u32 = 20;

/// See the module's doc.
#[async_trait]
pub trait MoneyStore: Send + Sync + 'static {
    /// The grants of a scope, and everything that was booked on them before `until`.
    async fn statement_facts(&self, of: &StatementOf, until: Timestamp) -> Result<StatementFacts, StoreError>;

    /// A sponsor says again that these learners are theirs: their grants that have not ended at `at` end at `until` instead, if that is
    /// later. The learners who had one. Who is not named keeps what they have, until it ends.
    async fn grants_attest(
        &self,
        sponsor: &SponsorId,
        learners: &[Subject],
        until: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<Subject>, StoreError>;

    /// These budgets and no other.
    async fn budgets_put(&self, budgets: &[Budget]) -> Result<(), StoreError>;
    /// What is spent of every budget, and of the grants of learners who spent at least the first threshold of them. Grants that are valid at
    /// `at`, and what was taken from them.
    async fn spendings(&self, at: Timestamp) -> Result<Vec<Spending>, StoreError>;
    /// Writes an alert down, to be sent by these channels; whether it is new. It is not when its line ([`Alert::line`]) was told of this
    /// threshold or a higher one.
    async fn alert_raise(&self, alert: &Alert, channels: &[AlertChannel]) -> Result<bool, StoreError>;
    /// What is to be sent at `at`, longest due first, at most [`DELIVERIES_AT_ONCE`].
    async fn alerts_due(&self, at: Timestamp) -> Result<Vec<Delivery>, StoreError>;
    /// Writes down what became of a try. One that was sent stays sent.
    async fn alert_mark(&self, mark: &DeliveryMark) -> Result<(), StoreError>;
    /// Newest first, at most [`ALERTS_SHOWN`].
    async fn alert_list(&self) -> Result<Vec<AlertState>, StoreError>;

    /// The card in force from now on; none: nothing is counted. Sessions that were admitted keep their rate.
    async fn rates_put(&self, rates: &[Rate]) -> Result<(), StoreError>;
    /// What sandboxes cost that nobody had, booked within `[from, until)`.
    async fn overhead(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Cost>, StoreError>;

    /// What sessions say of themselves, added up where they are: as many rows as there are sessions are read, and one is given.
    async fn session_sums(&self) -> Result<SessionSums, StoreError>;
    /// Keeps a reconciliation; the oldest go beyond a year.
    async fn reconciliation_put(&self, done: &Reconciliation) -> Result<(), StoreError>;
    /// The last one.
    async fn reconciliation_last(&self) -> Result<Option<Reconciliation>, StoreError>;
}
