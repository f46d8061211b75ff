//! Orders.

use lab_core::entitlement::OrderState;
use serde::Serialize;
use utoipa::ToSchema;

/// `POST /orders`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "for the description: the handler reads fields one by one, to name every wrong one"
)]
pub struct OrderRequest {
    /// The shop's own number: sent again, it is the same order.
    pub order: String,
    /// Who may use it, as their launches name them.
    pub person: String,
    pub course: String,
    pub plan: String,
    /// Lab time; the plan's when not given.
    pub seconds: Option<i64>,
    /// Until when it can be used, Unix seconds; the plan's days from now when not given.
    pub expires_at: Option<i64>,
}

/// `POST /orders/{order}/cancel`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "for the description: the handler reads fields one by one, to name every wrong one"
)]
pub struct CancelRequest {
    /// Why; it must name nobody.
    pub reason: String,
}

/// An order with what became of it.
#[derive(Serialize, ToSchema)]
pub struct OrderView {
    pub order: String,
    /// `placed` or `cancelled`.
    pub state: &'static str,
    pub person: String,
    pub course: String,
    pub plan: String,
    /// Lab time that it gave.
    pub seconds: i64,
    /// Of that, neither used nor held by a lab that runs.
    pub available: i64,
    /// Unix seconds.
    pub placed_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// The grant's id, as statements name it.
    pub grant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<CancellationView>,
}

/// What a cancellation did.
#[derive(Serialize, ToSchema)]
pub struct CancellationView {
    /// Unix seconds.
    pub at: i64,
    pub reason: String,
    /// Seconds that were not used yet.
    pub taken_back: i64,
}

impl From<OrderState> for OrderView {
    fn from(o: OrderState) -> Self {
        Self {
            order: o.order.number,
            state: if o.cancelled.is_some() { "cancelled" } else { "placed" },
            person: o.grant.subject.to_string(),
            course: o.grant.course.to_string(),
            plan: o.grant.plan.to_string(),
            seconds: o.grant.seconds,
            available: o.available,
            placed_at: o.grant.created_at.secs(),
            expires_at: o.grant.expires_at.secs(),
            grant: o.grant.id.to_string(),
            cancelled: o.cancelled.map(|c| CancellationView {
                at: c.at.secs(),
                reason: c.reason,
                taken_back: c.taken_back,
            }),
        }
    }
}
