//! People's privacy: notices, who looked, what is to go, one person's all.

mod erase;
mod looks;
mod notice;
mod person;
mod retention;

use crate::{
    SqlStore,
    db::Db,
    error::During,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, SessionId, Subject, Timestamp,
    metering::Transaction,
    port::{PrivacyStore, StoreError},
    privacy::{
        Acknowledgement, Before, Class, Due, Erased, Erasure, Footprint, Look, NoticeVersion, PersonSummary, Removal,
        RetentionRun, Traces,
    },
};
pub(crate) use notice::told;

#[async_trait]
impl PrivacyStore for SqlStore {
    async fn notice_acknowledge(&self, ack: &Acknowledgement) -> Result<Timestamp, StoreError> {
        write!(self, "notice_acknowledge", ack.clone(), notice::acknowledge)
    }
    async fn notice_acknowledged(
        &self,
        subject: &Subject,
        version: &NoticeVersion,
    ) -> Result<Option<Timestamp>, StoreError> {
        read!(self, "notice_acknowledged", notice::acknowledged, subject, version)
    }

    async fn looks(
        &self,
        subject: &Subject,
        course: Option<&CourseId>,
        before: Option<i64>,
    ) -> Result<Vec<Look>, StoreError> {
        read!(self, "looks", looks::list, subject, course, before)
    }

    async fn retention_due(&self, before: &Before) -> Result<Vec<Due>, StoreError> {
        read!(self, "retention_due", retention::due, before)
    }
    async fn recordings_due(&self, before: &Before, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        read!(self, "recordings_due", retention::recordings_due, before, limit)
    }
    async fn recording_remove(&self, session: SessionId, epoch: u64, at: Timestamp) -> Result<bool, StoreError> {
        write!(self, "recording_remove", (session, epoch, at), retention::remove)
    }
    async fn removals(&self, second: Timestamp, limit: u32) -> Result<Vec<Removal>, StoreError> {
        read!(self, "removals", retention::removals, second, limit)
    }
    async fn removal_done(&self, removal: Removal, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "removal_done", (removal, at), retention::done)
    }
    async fn retention_delete(
        &self,
        class: Class,
        epoch: u64,
        before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let deletion = retention::Deletion {
            class,
            epoch,
            before,
            at,
            limit,
        };
        write!(self, "retention_delete", deletion, retention::delete)
    }
    async fn retention_runs(&self) -> Result<Vec<RetentionRun>, StoreError> {
        read!(self, "retention_runs", retention::runs)
    }

    async fn person_list(&self, text: &str) -> Result<Vec<PersonSummary>, StoreError> {
        read!(self, "person_list", person::list, text)
    }
    async fn person_footprint(&self, subject: &Subject) -> Result<Footprint, StoreError> {
        read!(self, "person_footprint", person::footprint, subject)
    }
    async fn person_traces(&self, subject: &Subject) -> Result<Traces, StoreError> {
        read!(self, "person_traces", person::traces, subject)
    }
    async fn person_ledger(
        &self,
        subject: &Subject,
        after: Option<&(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<Transaction>, StoreError> {
        read!(self, "person_ledger", crate::ledger::of_person, subject, after, limit)
    }
    async fn person_erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        write!(self, "person_erase", erasure.clone(), erase::erase)
    }
}
