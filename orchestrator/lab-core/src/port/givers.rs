//! What is stored of who gives within what was agreed, and of what was withheld. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    CourseId, Subject,
    entitlement::{Giver, GiverState, Grant, Issued, Withheld},
};
use async_trait::async_trait;

/// See the module's doc.
#[async_trait]
pub trait GiverStore: Send + Sync + 'static {
    /// What grants of this source may be from now on; what was given stays.
    async fn giver_put(&self, giver: &Giver) -> Result<(), StoreError>;
    async fn giver_get(&self, source: &str) -> Result<Option<GiverState>, StoreError>;
    /// [`super::Store::grant_issue`], counted against its source's budget in the same transaction: of many at once exactly as many are
    /// issued as fit. One that does not fit is kept as withheld; one that is issued is withheld no more.
    async fn grant_issue_within(&self, grant: &Grant) -> Result<Issued, StoreError>;
    /// Keeps that a learner was not given what their launch asked for; the last one of each course.
    async fn grant_withhold(&self, withheld: &Withheld) -> Result<(), StoreError>;
    async fn grant_withheld(&self, subject: &Subject, course: &CourseId) -> Result<Option<Withheld>, StoreError>;
}
