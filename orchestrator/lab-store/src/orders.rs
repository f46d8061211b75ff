//! Stage 2, entitlement: shops' keys and orders.

use crate::{
    SqlStore,
    db::{Db, Tx},
    entitlement,
    error::{During, Failure},
    row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    OrderKeyId, Timestamp, TokenHash,
    entitlement::{
        Cancellation, Given, GrantBudget, Order, OrderKey, OrderKeyState, OrderState, Placed, Placement, differences,
    },
    port::{OrderStore, StoreError},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{AnyConnection, any::AnyRow};

#[async_trait]
impl OrderStore for SqlStore {
    async fn order_key_add(&self, key: &OrderKey) -> Result<(), StoreError> {
        write!(self, "order_key_add", key.clone(), key_add)
    }
    async fn order_key_get(&self, id: OrderKeyId) -> Result<Option<OrderKey>, StoreError> {
        read!(self, "order_key_get", key_get, id)
    }
    async fn order_key_list(&self) -> Result<Vec<OrderKeyState>, StoreError> {
        read!(self, "order_key_list", key_list)
    }
    async fn order_key_revoke(&self, id: OrderKeyId, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "order_key_revoke", (id, at), key_revoke)
    }
    async fn order_place(&self, placement: &Placement) -> Result<Placed, StoreError> {
        write!(self, "order_place", placement.clone(), place)
    }
    async fn order_get(&self, shop: &str, number: &str) -> Result<Option<OrderState>, StoreError> {
        read!(self, "order_get", get, shop, number)
    }
    async fn order_cancel(
        &self,
        shop: &str,
        number: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Option<OrderState>, StoreError> {
        let input = (shop.to_owned(), number.to_owned(), reason.to_owned(), at);
        write!(self, "order_cancel", input, cancel)
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| Failure::Unreadable(format!("order_key ({e})")))
}

fn list<T: DeserializeOwned>(r: &AnyRow, column: &str) -> Result<T, Failure> {
    serde_json::from_str(&row::text(r, column)?).map_err(|e| Failure::Unreadable(format!("order_key.{column} ({e})")))
}

async fn key_add(tx: &mut Tx, key: &OrderKey) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO order_key (id, shop, hash, key, courses, plans, sponsor, grants_max, seconds_max, created_at, revoked_at,
             site)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(key.id.to_string())
    .bind(key.shop.as_str())
    .bind(key.hash.0.to_vec())
    .bind(key.key.as_str())
    .bind(json(&key.courses)?)
    .bind(json(&key.plans)?)
    .bind(key.sponsor.as_ref().map(ToString::to_string))
    .bind(key.budget.grants)
    .bind(key.budget.seconds)
    .bind(key.created_at.0)
    .bind(key.revoked_at.map(|at| at.0))
    .bind(key.site.as_ref().map(ToString::to_string))
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn read_key(r: &AnyRow) -> Result<OrderKey, Failure> {
    Ok(OrderKey {
        id: row::id(r, "id")?,
        shop: row::text(r, "shop")?,
        hash: TokenHash(row::hash32(r, "hash")?),
        key: row::text(r, "key")?,
        courses: list(r, "courses")?,
        plans: list(r, "plans")?,
        sponsor: row::text_opt(r, "sponsor")?.map(Into::into),
        site: row::text_opt(r, "site")?.map(Into::into),
        budget: GrantBudget {
            grants: row::int_opt(r, "grants_max")?,
            seconds: row::int_opt(r, "seconds_max")?,
        },
        created_at: row::time(r, "created_at")?,
        revoked_at: row::time_opt(r, "revoked_at")?,
    })
}

async fn key_get(conn: &mut AnyConnection, id: OrderKeyId) -> Result<Option<OrderKey>, Failure> {
    let found = sqlx::query("SELECT * FROM order_key WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    found.as_ref().map(read_key).transpose()
}

async fn key_list(conn: &mut AnyConnection) -> Result<Vec<OrderKeyState>, Failure> {
    let rows = sqlx::query("SELECT * FROM order_key ORDER BY shop, created_at DESC, id")
        .fetch_all(&mut *conn)
        .await?;
    let mut all = Vec::with_capacity(rows.len());
    for r in &rows {
        let key = read_key(r)?;
        let given = given(conn, &key.shop).await?;
        all.push(OrderKeyState { key, given });
    }
    Ok(all)
}

async fn key_revoke(tx: &mut Tx, (id, at): &(OrderKeyId, Timestamp)) -> Result<(), Failure> {
    let done = sqlx::query("UPDATE order_key SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1")
        .bind(id.to_string())
        .bind(at.0)
        .execute(tx.conn())
        .await?;
    if done.rows_affected() == 0 {
        return Err(Failure::missing("order key", id));
    }
    Ok(())
}

/// What a shop's orders gave, less what was taken back.
async fn given(conn: &mut AnyConnection, shop: &str) -> Result<Given, Failure> {
    let r = sqlx::query(
        "SELECT CAST(COALESCE(SUM(CASE WHEN o.cancelled_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS grants,
             CAST(COALESCE(SUM(g.seconds - COALESCE(o.taken_back, 0)), 0) AS BIGINT) AS seconds
         FROM lab_order o JOIN lab_grant g ON g.id = o.grant_id WHERE o.shop = $1",
    )
    .bind(shop)
    .fetch_one(conn)
    .await?;
    Ok(Given {
        grants: row::int(&r, "grants")?,
        seconds: row::int(&r, "seconds")?,
    })
}

/// See [`OrderStore::order_place`]. Locks the shop's keys, then (by the grant's issue) nothing that exists.
async fn place(tx: &mut Tx, p: &Placement) -> Result<Placed, Failure> {
    let Some(key) = key_get(tx.conn(), p.key).await? else {
        return Ok(Placed::Revoked);
    };
    let dialect = tx.dialect;
    dialect.lock_shop(tx.conn(), &key.shop).await?;
    // again under the lock: it may have been revoked since
    let Some(key) = key_get(tx.conn(), p.key).await?.filter(|k| k.revoked_at.is_none()) else {
        return Ok(Placed::Revoked);
    };
    if let Some(known) = get(tx.conn(), &key.shop, &p.order.number).await? {
        let differs = differences(&known.order, &p.order);
        return Ok(if differs.is_empty() {
            Placed::Same(known)
        } else {
            Placed::Differs(differs)
        });
    }
    if let Err(spent) = key.budget.admits(given(tx.conn(), &key.shop).await?, p.grant.seconds) {
        return Ok(Placed::Spent(spent));
    }
    entitlement::grant_issue(tx, &p.grant).await?;
    entitlement::grant_at(tx, p.grant.id, key.site.as_ref()).await?;
    sqlx::query(
        "INSERT INTO lab_order (shop, number, order_key, grant_id, asked_seconds, asked_expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(key.shop.as_str())
    .bind(p.order.number.as_str())
    .bind(key.id.to_string())
    .bind(p.grant.id.to_string())
    .bind(p.order.seconds)
    .bind(p.order.expires_at.map(|at| at.0))
    .execute(tx.conn())
    .await?;
    let placed = get(tx.conn(), &key.shop, &p.order.number).await?;
    Ok(Placed::New(
        placed.ok_or_else(|| Failure::missing("order", &p.order.number))?,
    ))
}

async fn get(conn: &mut AnyConnection, shop: &str, number: &str) -> Result<Option<OrderState>, Failure> {
    let found = sqlx::query(
        "SELECT g.*, o.asked_seconds, o.asked_expires_at, o.cancelled_at, o.cancelled_reason, o.taken_back,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM ledger_entry e
              WHERE e.account = 'grant:' || g.id) AS available
         FROM lab_order o JOIN lab_grant g ON g.id = o.grant_id WHERE o.shop = $1 AND o.number = $2",
    )
    .bind(shop)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    let Some(r) = found else { return Ok(None) };
    let grant = entitlement::read_grant(&r)?;
    let cancelled = match row::time_opt(&r, "cancelled_at")? {
        Some(at) => Some(Cancellation {
            at,
            reason: row::text(&r, "cancelled_reason")?,
            taken_back: row::int(&r, "taken_back")?,
        }),
        None => None,
    };
    Ok(Some(OrderState {
        shop: shop.to_owned(),
        order: Order {
            number: number.to_owned(),
            person: grant.subject.clone(),
            course: grant.course.clone(),
            plan: grant.plan.clone(),
            seconds: row::int_opt(&r, "asked_seconds")?,
            expires_at: row::time_opt(&r, "asked_expires_at")?,
        },
        grant,
        available: row::int(&r, "available")?,
        cancelled,
    }))
}

/// See [`OrderStore::order_cancel`]. Locks as [`place`] does, then the grant.
async fn cancel(
    tx: &mut Tx,
    (shop, number, reason, at): &(String, String, String, Timestamp),
) -> Result<Option<OrderState>, Failure> {
    let dialect = tx.dialect;
    dialect.lock_shop(tx.conn(), shop).await?;
    let Some(known) = get(tx.conn(), shop, number).await? else {
        return Ok(None);
    };
    if known.cancelled.is_some() {
        return Ok(Some(known));
    }
    let back = entitlement::grant_void(tx, &(known.grant.id, reason.clone(), *at)).await?;
    sqlx::query(
        "UPDATE lab_order SET cancelled_at = $3, cancelled_reason = $4, taken_back = $5 WHERE shop = $1 AND number = $2",
    )
    .bind(shop.as_str())
    .bind(number.as_str())
    .bind(at.0)
    .bind(reason.as_str())
    .bind(back)
    .execute(tx.conn())
    .await?;
    get(tx.conn(), shop, number).await
}
