//! Orders: who a key is, how fast it may go, and what it may order. What is placed is one transaction of the store.

use crate::{App, AppError, launch::Keyring};
use lab_core::{
    OrderKeyId, Timestamp, TokenHash,
    entitlement::{
        BudgetSpent, Difference, FieldProblem, OrderKey, OrderState, Placed, Placement, grant_of, permit, read_order,
        read_reason,
    },
    port::{Entropy, ErrorKind},
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What a key begins with, so that one that leaks is recognised.
const PREFIX: &str = "lwo_";

/// A new key for `shop`'s requests: its id, what is shown once, and what the store gets, under the installation's first key.
pub fn make_order_key(entropy: &dyn Entropy, keyring: &Keyring) -> (OrderKeyId, String, TokenHash) {
    let id = OrderKeyId(Uuid::new_v5(&Uuid::NAMESPACE_OID, &entropy.bytes32()));
    let secret = blake3::Hash::from_bytes(entropy.bytes32()).to_hex();
    let token = format!("{PREFIX}{}_{secret}", id.0.simple());
    let hash = keyring.order_hashes(&token).swap_remove(0);
    (id, token, hash)
}

/// The id in a key, which says nothing of whether it is one.
fn id_in(token: &str) -> Option<OrderKeyId> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let right = id.len() == 32 && secret.len() == 64;
    right.then(|| Uuid::try_parse(id).ok().map(OrderKeyId)).flatten()
}

/// What became of a shop's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// `new`: false when it was there already.
    Done {
        order: Box<OrderState>,
        new: bool,
    },
    Refused(OrderRefusal),
}

/// Why it came to nothing. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRefusal {
    /// Fields that are wrong.
    Invalid(Vec<FieldProblem>),
    /// Not what the key was made for.
    NotAllowed(Vec<FieldProblem>),
    /// The number is another order's.
    Differs(Vec<Difference>),
    Spent(BudgetSpent),
    Unknown,
}

impl App {
    /// The key that a shop presents. Compared in constant time.
    ///
    /// # Errors
    /// `order-key-unknown`, the same for every reason.
    pub async fn order_key(&self, token: &str) -> Result<OrderKey, AppError> {
        let unknown = || AppError::refused(ErrorKind::Denied, "order-key-unknown", "no order key is this");
        let id = id_in(token).ok_or_else(unknown)?;
        let key = self.ports.store.order_key_get(id).await?;
        let key = key.filter(|k| k.revoked_at.is_none()).ok_or_else(unknown)?;
        let stored = blake3::Hash::from_bytes(key.hash.0);
        let hashes = self.keyring.order_hashes(token);
        // `blake3::Hash` compares in constant time
        let ours = hashes.iter().any(|hash| blake3::Hash::from_bytes(hash.0) == stored);
        ours.then_some(key).ok_or_else(unknown)
    }

    /// Counts a request of a key; when it is one too many, when there may be more.
    ///
    /// # Errors
    /// When to come back.
    pub fn order_pace(&self, key: &OrderKey) -> Result<(), Timestamp> {
        self.order_pace.step(key.id, self.now())
    }

    /// Places an order, once.
    ///
    /// # Errors
    /// The store's; what is wrong with the order is in the answer.
    pub async fn order_place(&self, key: &OrderKey, body: &Map<String, Value>) -> Result<Ordered, AppError> {
        let done = self.order_placed(key, body).await?;
        let outcome = match &done {
            Ordered::Done { new: true, order } => {
                tracing::info!(shop = %key.shop, grant = %order.grant.id, course = %order.grant.course, "order placed");
                "placed"
            }
            Ordered::Done { .. } => "again",
            Ordered::Refused(refusal) => refusal.code(),
        };
        self.metrics.orders_total.with_label_values(&[outcome]).inc();
        Ok(done)
    }

    async fn order_placed(&self, key: &OrderKey, body: &Map<String, Value>) -> Result<Ordered, AppError> {
        let refused = |refusal| Ok(Ordered::Refused(refusal));
        let order = match read_order(body) {
            Ok(order) => order,
            Err(problems) => return refused(OrderRefusal::Invalid(problems)),
        };
        if let Err(problems) = permit(key, &order) {
            return refused(OrderRefusal::NotAllowed(problems));
        }
        // what was placed is what it was, whatever became of plan and time
        if let Some(known) = self.ports.store.order_get(&key.shop, &order.number).await? {
            let differs = lab_core::entitlement::differences(&known.order, &order);
            return if differs.is_empty() {
                let order = Box::new(known);
                Ok(Ordered::Done { order, new: false })
            } else {
                refused(OrderRefusal::Differs(differs))
            };
        }
        let plans = self.ports.store.plan_list().await?;
        let Some(plan) = plans.iter().find(|p| p.id == order.plan) else {
            return refused(OrderRefusal::Invalid(vec![FieldProblem {
                field: "plan".into(),
                found: order.plan.to_string(),
                remedy: "there is no such plan any more; ask for a key of another".into(),
            }]));
        };
        let grant = match grant_of(key, plan, &order, self.now()) {
            Ok(grant) => grant,
            Err(problems) => return refused(OrderRefusal::Invalid(problems)),
        };
        let placement = Placement {
            key: key.id,
            order,
            grant,
        };
        Ok(match self.ports.store.order_place(&placement).await? {
            Placed::New(order) => Ordered::Done {
                order: Box::new(order),
                new: true,
            },
            Placed::Same(order) => Ordered::Done {
                order: Box::new(order),
                new: false,
            },
            Placed::Differs(differs) => Ordered::Refused(OrderRefusal::Differs(differs)),
            Placed::Spent(spent) => Ordered::Refused(OrderRefusal::Spent(spent)),
            Placed::Revoked => {
                return Err(AppError::refused(
                    ErrorKind::Denied,
                    "order-key-unknown",
                    "no order key is this",
                ));
            }
        })
    }

    /// An order of the key's shop.
    ///
    /// # Errors
    /// The store's.
    pub async fn order_get(&self, key: &OrderKey, number: &str) -> Result<Ordered, AppError> {
        let found = self.ports.store.order_get(&key.shop, number).await?;
        Ok(Ordered::found(found))
    }

    /// Takes back what was not used of an order of the key's shop.
    ///
    /// # Errors
    /// The store's.
    pub async fn order_cancel(
        &self,
        key: &OrderKey,
        number: &str,
        body: &Map<String, Value>,
    ) -> Result<Ordered, AppError> {
        let reason = match read_reason(body) {
            Ok(reason) => reason,
            Err(problems) => return Ok(Ordered::Refused(OrderRefusal::Invalid(problems))),
        };
        let store = &self.ports.store;
        let found = store.order_cancel(&key.shop, number, &reason, self.now()).await?;
        Ok(Ordered::found(found))
    }
}

impl Ordered {
    fn found(order: Option<OrderState>) -> Self {
        order.map_or(Self::Refused(OrderRefusal::Unknown), |order| Self::Done {
            order: Box::new(order),
            new: false,
        })
    }
}

impl OrderRefusal {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "order-invalid",
            Self::NotAllowed(_) => "order-not-allowed",
            Self::Differs(_) => "order-differs",
            Self::Spent(_) => "order-budget",
            Self::Unknown => "order-unknown",
        }
    }

    /// In words.
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(problems) | Self::NotAllowed(problems) => {
                let said = |p: &FieldProblem| format!("{}: {}: {}", p.field, p.found, p.remedy);
                problems.iter().map(said).collect::<Vec<_>>().join("; ")
            }
            Self::Differs(fields) => {
                let named: Vec<&str> = fields.iter().map(|d| d.field).collect();
                format!("this number is another order's, which differs in {}", named.join(", "))
            }
            Self::Spent(spent) => format!("this order is more than is agreed: {spent}"),
            Self::Unknown => "there is no order of this number".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        for token in ["", "lwo_", "lwo_1_2", "x", "lwo_00000000000000000000000000000000_short"] {
            assert_eq!(id_in(token), None, "{token}");
        }
    }
}
