//! What is stored of shops that order lab time. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    OrderKeyId, Timestamp,
    entitlement::{OrderKey, OrderKeyState, OrderState, Placed, Placement},
};
use async_trait::async_trait;

/// See the module's doc.
#[async_trait]
pub trait OrderStore: Send + Sync + 'static {
    async fn order_key_add(&self, key: &OrderKey) -> Result<(), StoreError>;
    async fn order_key_get(&self, id: OrderKeyId) -> Result<Option<OrderKey>, StoreError>;
    /// By shop, newest first within one.
    async fn order_key_list(&self) -> Result<Vec<OrderKeyState>, StoreError>;
    /// From now on it opens nothing; what was ordered stays. A repeat changes nothing.
    async fn order_key_revoke(&self, id: OrderKeyId, at: Timestamp) -> Result<(), StoreError>;
    /// Issues the grant of an order, once, in the transaction that counts it against its shop's budget: of many at once exactly as many
    /// are placed as fit.
    async fn order_place(&self, placement: &Placement) -> Result<Placed, StoreError>;
    async fn order_get(&self, shop: &str, number: &str) -> Result<Option<OrderState>, StoreError>;
    /// Takes back what was not used of an order; what a running lab holds stays held. A repeat changes nothing. The order then, or none
    /// when the shop has none of that number.
    async fn order_cancel(
        &self,
        shop: &str,
        number: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Option<OrderState>, StoreError>;
}
