//! What is stored for sign-ins of staff, and for whoever looks after logins. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    Timestamp, TokenHash,
    launch::{LoginState, Revocation, staff::StaffState},
};
use async_trait::async_trait;

/// See the module's doc.
#[async_trait]
pub trait StaffStore: Send + Sync + 'static {
    /// Keeps a sign-in that was begun. A conflict when its state is there already.
    async fn staff_state_put(&self, state: &StaffState) -> Result<(), StoreError>;
    /// The sign-in of a state, if it has not expired at `at`. Using it once is [`super::Store::launch_redeem`]'s.
    async fn staff_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<StaffState>, StoreError>;
    /// Every login that has not expired at `at`, oldest first.
    async fn login_list(&self, at: Timestamp) -> Result<Vec<LoginState>, StoreError>;
    /// Ends logins with their tickets, each with a line of the audit log (`login-revoke`) in the same transaction: the next request of each
    /// is refused, whichever process it comes to. The logins that were there; none is no error.
    async fn login_revoke(&self, revocation: &Revocation) -> Result<Vec<LoginState>, StoreError>;
}
