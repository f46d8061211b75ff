//! Sign-ins of staff that are under way, and logins for whoever looks after them.

use crate::{
    SqlStore, audit,
    db::{Db, Tx},
    error::{During, Failure},
    launch::read_login,
    row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    Timestamp, TokenHash,
    launch::{LoginState, LoginsOf, Revocation, staff::StaffState},
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
    async fn login_list(&self, at: Timestamp) -> Result<Vec<LoginState>, StoreError> {
        read!(self, "login_list", login_list, at)
    }
    async fn login_revoke(&self, revocation: &Revocation) -> Result<Vec<LoginState>, StoreError> {
        write!(self, "login_revoke", revocation.clone(), login_revoke)
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

async fn login_list(conn: &mut AnyConnection, at: Timestamp) -> Result<Vec<LoginState>, Failure> {
    let rows = sqlx::query("SELECT * FROM login WHERE expires_at > $1 ORDER BY created_at, id")
        .bind(at.0)
        .fetch_all(conn)
        .await?;
    rows.iter().map(login_state).collect()
}

fn login_state(r: &AnyRow) -> Result<LoginState, Failure> {
    Ok(LoginState {
        login: read_login(r)?,
        grace_until: row::time_opt(r, "previous_until")?,
    })
}

async fn login_revoke(tx: &mut Tx, r: &Revocation) -> Result<Vec<LoginState>, Failure> {
    // tickets go with their login (ON DELETE CASCADE)
    let (statement, which) = match &r.of {
        LoginsOf::One(id) => ("DELETE FROM login WHERE id = $1 RETURNING *", id.to_string()),
        LoginsOf::Person(subject) => ("DELETE FROM login WHERE subject = $1 RETURNING *", subject.to_string()),
    };
    let rows = sqlx::query(statement).bind(which).fetch_all(tx.conn()).await?;
    let mut ended = rows.iter().map(login_state).collect::<Result<Vec<_>, Failure>>()?;
    ended.sort_by_key(|l| (l.login.created_at, l.login.id));
    for state in &ended {
        audit::append(tx, &r.event(&state.login)).await?;
    }
    Ok(ended)
}
