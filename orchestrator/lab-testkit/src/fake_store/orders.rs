//! Shops' keys and orders.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    GrantId, OrderKeyId, Timestamp,
    entitlement::{Cancellation, Given, Order, OrderKey, OrderKeyState, OrderState, Placed, Placement, differences},
    metering::Account,
    port::{OrderStore, StoreError},
};
use std::{cmp::Reverse, collections::BTreeMap};

#[derive(Debug, Default)]
pub struct Orders {
    keys: BTreeMap<OrderKeyId, OrderKey>,
    placed: BTreeMap<(String, String), Row>,
}

#[derive(Debug)]
struct Row {
    grant: GrantId,
    seconds: Option<i64>,
    expires_at: Option<Timestamp>,
    cancelled: Option<Cancellation>,
}

impl State {
    fn order_given(&self, shop: &str) -> Given {
        let rows = self.orders.placed.iter().filter(|((s, _), _)| s == shop);
        rows.fold(Given::default(), |sum, (_, row)| Given {
            grants: sum.grants + i64::from(row.cancelled.is_none()),
            seconds: sum.seconds + self.grants[&row.grant].seconds - row.cancelled.as_ref().map_or(0, |c| c.taken_back),
        })
    }

    fn order_get(&self, shop: &str, number: &str) -> Option<OrderState> {
        let row = self.orders.placed.get(&(shop.to_owned(), number.to_owned()))?;
        let grant = self.grants[&row.grant].clone();
        Some(OrderState {
            shop: shop.to_owned(),
            order: Order {
                number: number.to_owned(),
                person: grant.subject.clone(),
                course: grant.course.clone(),
                plan: grant.plan.clone(),
                seconds: row.seconds,
                expires_at: row.expires_at,
            },
            available: self.balance(&Account::Grant(row.grant)),
            grant,
            cancelled: row.cancelled.clone(),
        })
    }

    fn order_place(&mut self, p: &Placement) -> Result<Placed, StoreError> {
        let key = self.orders.keys.get(&p.key).filter(|k| k.revoked_at.is_none());
        let Some(key) = key.cloned() else {
            return Ok(Placed::Revoked);
        };
        if let Some(known) = self.order_get(&key.shop, &p.order.number) {
            let differs = differences(&known.order, &p.order);
            return Ok(if differs.is_empty() {
                Placed::Same(known)
            } else {
                Placed::Differs(differs)
            });
        }
        if let Err(spent) = key.budget.admits(self.order_given(&key.shop), p.grant.seconds) {
            return Ok(Placed::Spent(spent));
        }
        self.grant_issue(&p.grant)?;
        self.grant_at(p.grant.id, key.site.as_ref());
        let row = Row {
            grant: p.grant.id,
            seconds: p.order.seconds,
            expires_at: p.order.expires_at,
            cancelled: None,
        };
        self.orders
            .placed
            .insert((key.shop.clone(), p.order.number.clone()), row);
        let placed = self.order_get(&key.shop, &p.order.number);
        Ok(Placed::New(placed.expect("it was placed just now")))
    }

    fn order_cancel(
        &mut self,
        shop: &str,
        number: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Option<OrderState>, StoreError> {
        let place = (shop.to_owned(), number.to_owned());
        let Some(row) = self.orders.placed.get(&place) else {
            return Ok(None);
        };
        if row.cancelled.is_none() {
            let taken_back = self.grant_void(row.grant, reason, at)?;
            if let Some(row) = self.orders.placed.get_mut(&place) {
                let reason = reason.to_owned();
                row.cancelled = Some(Cancellation { at, reason, taken_back });
            }
        }
        Ok(self.order_get(shop, number))
    }
}

#[async_trait]
impl OrderStore for FakeStore {
    async fn order_key_add(&self, key: &OrderKey) -> Result<(), StoreError> {
        self.run("order_key_add", |s| {
            s.orders.keys.insert(key.id, key.clone());
            Ok(())
        })
    }
    async fn order_key_get(&self, id: OrderKeyId) -> Result<Option<OrderKey>, StoreError> {
        self.run("order_key_get", |s| Ok(s.orders.keys.get(&id).cloned()))
    }
    async fn order_key_list(&self) -> Result<Vec<OrderKeyState>, StoreError> {
        self.run("order_key_list", |s| {
            let state = |key: &OrderKey| OrderKeyState {
                key: key.clone(),
                given: s.order_given(&key.shop),
            };
            let mut all: Vec<_> = s.orders.keys.values().map(state).collect();
            all.sort_by_key(|k| (k.key.shop.clone(), Reverse(k.key.created_at), k.key.id));
            Ok(all)
        })
    }
    async fn order_key_revoke(&self, id: OrderKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.run("order_key_revoke", |s| {
            let key = s.orders.keys.get_mut(&id).ok_or_else(|| StoreError::NotFound {
                what: "order key",
                id: id.to_string(),
            })?;
            key.revoked_at.get_or_insert(at);
            Ok(())
        })
    }
    async fn order_place(&self, placement: &Placement) -> Result<Placed, StoreError> {
        self.run("order_place", |s| s.order_place(placement))
    }
    async fn order_get(&self, shop: &str, number: &str) -> Result<Option<OrderState>, StoreError> {
        self.run("order_get", |s| Ok(s.order_get(shop, number)))
    }
    async fn order_cancel(
        &self,
        shop: &str,
        number: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Option<OrderState>, StoreError> {
        self.run("order_cancel", |s| s.order_cancel(shop, number, reason, at))
    }
}
