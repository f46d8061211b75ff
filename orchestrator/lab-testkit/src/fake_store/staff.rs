//! Sign-ins of staff, in memory.

use super::FakeStore;
use async_trait::async_trait;
use lab_core::{
    Timestamp, TokenHash,
    launch::staff::StaffState,
    port::{StaffStore, StoreError},
};

#[async_trait]
impl StaffStore for FakeStore {
    async fn staff_state_put(&self, state: &StaffState) -> Result<(), StoreError> {
        self.run("staff_state_put", |s| {
            if s.staff_states.contains_key(&state.state) {
                return Err(StoreError::Conflict {
                    what: "state",
                    id: "of a sign-in".into(),
                    detail: "it is there already".into(),
                });
            }
            s.staff_states.insert(state.state, state.clone());
            Ok(())
        })
    }
    async fn staff_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<StaffState>, StoreError> {
        self.run("staff_state_get", |s| {
            Ok(s.staff_states.get(&state).filter(|s| at < s.expires_at).cloned())
        })
    }
}
