//! What is stored of grades: the outbox. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    LabId, Subject, Timestamp,
    grading::{Grade, GradeRow, GradeTarget},
    launch::lti::RegistrationId,
};
use async_trait::async_trait;

/// The lease that the outbox is worked under.
pub const OUTBOX_LEASE: &str = "outbox";

/// Rows that [`GradeStore::grade_due`] gives of one registration: a platform that answers in 100 ms has done them in two seconds, and one that
/// takes ten for each holds up nobody else.
pub const GRADES_DUE_MAX: u32 = 20;

/// Rows that [`GradeStore::grade_list`] gives.
pub const GRADES_LISTED_MAX: u32 = 1000;

/// A change of the outbox by who works it.
#[derive(Clone, Debug)]
pub struct GradeWrite {
    /// Epoch of the lease [`OUTBOX_LEASE`]; one that is not the lease's newest is refused.
    pub epoch: u64,
    pub change: GradeChange,
}

/// See [`GradeWrite`]. A row is meant as the caller read it: where its `revision` is another one by now, there is a newer grade to send, and
/// what came of the older one changes nothing but what the platform has.
#[derive(Clone, Debug)]
pub enum GradeChange {
    /// The row is about to be sent with the time `stamp`, which no later score of it may carry again.
    Try { id: i64, revision: i64, stamp: i64 },
    /// The platform has `grade`.
    Sent {
        id: i64,
        revision: i64,
        grade: Grade,
        at: Timestamp,
    },
    /// Not before `next_at`.
    Later {
        id: i64,
        revision: i64,
        code: &'static str,
        detail: String,
        next_at: Timestamp,
    },
    /// Never, as it is.
    Failed {
        id: i64,
        revision: i64,
        code: &'static str,
        detail: String,
    },
    /// A lab's line item was found or made: it is that of every row that waits for it, and of every later launch.
    Found {
        registration: RegistrationId,
        line_items: String,
        lab: LabId,
        line_item: String,
    },
    /// The platform answers again: whatever waits for it is due now.
    Back {
        registration: RegistrationId,
        at: Timestamp,
    },
}

/// Rows by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradeCounts {
    pub pending: i64,
    pub failed: i64,
}

/// See the module's doc. Rows are made by launches and changed by checks: [`super::Store::check_record`] offers a new grade in its own
/// transaction, so that a crash loses neither without the other.
#[async_trait]
pub trait GradeStore: Send + Sync + 'static {
    /// Keeps where a learner's grade goes, and offers what the checks so far are worth.
    async fn grade_target_put(&self, target: &GradeTarget, at: Timestamp) -> Result<(), StoreError>;
    /// Pending rows that are due at `at`, of each registration at most [`GRADES_DUE_MAX`], those that waited longest first.
    async fn grade_due(&self, at: Timestamp) -> Result<Vec<GradeRow>, StoreError>;
    /// Applies a change; whether it changed anything.
    async fn grade_write(&self, write: &GradeWrite) -> Result<bool, StoreError>;
    /// Failed ones first, then pending, then the others; newest first; at most [`GRADES_LISTED_MAX`].
    async fn grade_list(&self, registration: Option<&RegistrationId>) -> Result<Vec<GradeRow>, StoreError>;
    /// Every row of one learner, oldest first: what their own archive shows of them.
    async fn grade_of(&self, subject: &Subject) -> Result<Vec<GradeRow>, StoreError>;
    /// Failed and pending ones are due at `at`, as if they were new; how many.
    async fn grade_retry(&self, registration: Option<&RegistrationId>, at: Timestamp) -> Result<u64, StoreError>;
    async fn grade_counts(&self) -> Result<GradeCounts, StoreError>;
}
