//! Sign-ins of staff that are under way.

use super::fixture::at;
use lab_core::{
    TokenHash,
    launch::staff::StaffState,
    port::{ErrorKind, Store},
};
use std::sync::Arc;

pub async fn a_sign_in_under_way_is_there_until_it_expires(store: Arc<dyn Store>) {
    let state = StaffState {
        state: TokenHash::of("state"),
        nonce: TokenHash::of("nonce"),
        browser: TokenHash::of("browser"),
        expires_at: at(600),
    };
    store.staff_state_put(&state).await.unwrap();
    let twice = store.staff_state_put(&state).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    let get = async |name, secs| store.staff_state_get(TokenHash::of(name), at(secs)).await.unwrap();
    assert_eq!(get("state", 599).await, Some(state));
    assert_eq!(get("state", 600).await, None);
    assert_eq!(get("other", 0).await, None);
    assert_eq!(store.sweep(at(599)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(600)).await.unwrap(), 1, "at once: anybody can begin one");
    assert_eq!(get("state", 599).await, None);
}
