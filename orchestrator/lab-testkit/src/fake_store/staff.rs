//! Sign-ins of staff and whoever is signed in, in memory.

use super::{FakeStore, state::LoginRow};
use async_trait::async_trait;
use lab_core::{
    Timestamp, TokenHash,
    launch::{LoginState, LoginsOf, Revocation, staff::StaffState},
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
    async fn login_list(&self, at: Timestamp) -> Result<Vec<LoginState>, StoreError> {
        self.run("login_list", |s| {
            let mut all: Vec<_> = s.logins.values().map(LoginRow::state).collect();
            all.retain(|l| at < l.login.expires_at);
            all.sort_by_key(|l| (l.login.created_at, l.login.id));
            Ok(all)
        })
    }
    async fn login_revoke(&self, revocation: &Revocation) -> Result<Vec<LoginState>, StoreError> {
        self.run("login_revoke", |s| {
            let mut ended: Vec<_> = s.logins.values().map(LoginRow::state).collect();
            ended.retain(|l| match &revocation.of {
                LoginsOf::One(id) => l.login.id == *id,
                LoginsOf::Person(subject) => l.login.subject == *subject,
            });
            ended.sort_by_key(|l| (l.login.created_at, l.login.id));
            for LoginState { login, .. } in &ended {
                s.logins.remove(&login.id);
                s.tickets.retain(|_, ticket| ticket.login != login.id);
                s.audit.push(revocation.event(login));
            }
            Ok(ended)
        })
    }
}
