//! What is stored about people's privacy: notices, who looked, what is to go, one person's all. Part of [`super::Store`], in a trait of
//! its own.

use super::StoreError;
use crate::{
    CourseId, SessionId, Subject, Timestamp,
    metering::Transaction,
    privacy::{
        Acknowledgement, Before, Class, Due, Erased, Erasure, Footprint, Look, NoticeVersion, PersonSummary, Removal,
        RetentionRun, Traces,
    },
};
use async_trait::async_trait;

/// The lease that data are removed under when they have had their time.
pub const RETENTION_LEASE: &str = "retention";

/// See the module's doc.
#[async_trait]
pub trait PrivacyStore: Send + Sync + 'static {
    /// Keeps that somebody was told; the first time counts, and is given back.
    async fn notice_acknowledge(&self, ack: &Acknowledgement) -> Result<Timestamp, StoreError>;
    async fn notice_acknowledged(
        &self,
        subject: &Subject,
        version: &NoticeVersion,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Who looked at a person's sessions (of one course), at the wall while they were on it, or took their data along: newest first,
    /// below `before` if given, at most [`crate::privacy::LOOKS_PAGE`].
    async fn looks(
        &self,
        subject: &Subject,
        course: Option<&CourseId>,
        before: Option<i64>,
    ) -> Result<Vec<Look>, StoreError>;

    /// What has had its time and is still there, by class.
    async fn retention_due(&self, before: &Before) -> Result<Vec<Due>, StoreError>;
    /// Recordings that have had their time, oldest first, at most `limit`.
    async fn recordings_due(&self, before: &Before, limit: u32) -> Result<Vec<SessionId>, StoreError>;
    /// From now on the recording can be neither read nor written; false when it could not before. Its objects are the caller's to delete,
    /// or another's ([`PrivacyStore::removals`]). `epoch` is of [`RETENTION_LEASE`]: one that is not the newest is refused.
    async fn recording_remove(&self, session: SessionId, epoch: u64, at: Timestamp) -> Result<bool, StoreError>;
    /// Recordings that were removed and whose objects are to be deleted: those never looked at, and once more those removed at
    /// `second` or before. Oldest first, at most `limit`.
    async fn removals(&self, second: Timestamp, limit: u32) -> Result<Vec<Removal>, StoreError>;
    /// Its objects are gone: nothing names them any more.
    async fn removal_done(&self, removal: Removal, at: Timestamp) -> Result<(), StoreError>;
    /// Deletes what is of `before` or older, of every class but recordings, at most `limit` rows; how many. `epoch` as for
    /// [`PrivacyStore::recording_remove`].
    async fn retention_delete(
        &self,
        class: Class,
        epoch: u64,
        before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// What went so far, by class.
    async fn retention_runs(&self) -> Result<Vec<RetentionRun>, StoreError>;

    /// People, last seen first, at most [`crate::privacy::PEOPLE_PAGE`]; those whose id or name has `text` in it, whatever its case.
    async fn person_list(&self, text: &str) -> Result<Vec<PersonSummary>, StoreError>;
    async fn person_footprint(&self, subject: &Subject) -> Result<Footprint, StoreError>;
    async fn person_traces(&self, subject: &Subject) -> Result<Traces, StoreError>;
    /// Transactions that a person's grants or sessions are in, oldest first, after `after` (time and key), at most `limit`.
    async fn person_ledger(
        &self,
        subject: &Subject,
        after: Option<&(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<Transaction>, StoreError>;
    /// One transaction, audited without the name: what a person did goes or stands under the pseudonym, recordings are removed as by
    /// [`PrivacyStore::recording_remove`], the ledger is not touched. Refused while a session of theirs is not over. Idempotent.
    async fn person_erase(&self, erasure: &Erasure) -> Result<Erased, StoreError>;
}
