//! What is stored for sign-ins of staff. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{Timestamp, TokenHash, launch::staff::StaffState};
use async_trait::async_trait;

/// See the module's doc.
#[async_trait]
pub trait StaffStore: Send + Sync + 'static {
    /// Keeps a sign-in that was begun. A conflict when its state is there already.
    async fn staff_state_put(&self, state: &StaffState) -> Result<(), StoreError>;
    /// The sign-in of a state, if it has not expired at `at`. Using it once is [`super::Store::launch_redeem`]'s.
    async fn staff_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<StaffState>, StoreError>;
}
