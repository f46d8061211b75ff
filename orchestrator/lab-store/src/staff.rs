//! Sign-ins of staff that are under way.

use crate::{
    SqlStore,
    db::{Db, Tx},
    error::{During, Failure},
    row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    Timestamp, TokenHash,
    launch::staff::StaffState,
    port::{StaffStore, StoreError},
};
use sqlx::{AnyConnection, any::AnyRow};

#[async_trait]
impl StaffStore for SqlStore {
    async fn staff_state_put(&self, state: &StaffState) -> Result<(), StoreError> {
        write!(self, "staff_state_put", state.clone(), state_put)
    }
    async fn staff_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<StaffState>, StoreError> {
        read!(self, "staff_state_get", state_get, state, at)
    }
}

async fn state_put(tx: &mut Tx, s: &StaffState) -> Result<(), Failure> {
    let done = sqlx::query(
        "INSERT INTO staff_state (state, nonce, browser, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(s.state.0.to_vec())
    .bind(s.nonce.0.to_vec())
    .bind(s.browser.0.to_vec())
    .bind(s.expires_at.0)
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::conflict("state", "of a sign-in", "it is there already"));
    }
    Ok(())
}

async fn state_get(conn: &mut AnyConnection, state: TokenHash, at: Timestamp) -> Result<Option<StaffState>, Failure> {
    let found = sqlx::query("SELECT * FROM staff_state WHERE state = $1 AND expires_at > $2")
        .bind(state.0.to_vec())
        .bind(at.0)
        .fetch_optional(conn)
        .await?;
    let read = |r: AnyRow| {
        Ok(StaffState {
            state,
            nonce: TokenHash(row::hash32(&r, "nonce")?),
            browser: TokenHash(row::hash32(&r, "browser")?),
            expires_at: row::time(&r, "expires_at")?,
        })
    };
    found.map(read).transpose()
}
