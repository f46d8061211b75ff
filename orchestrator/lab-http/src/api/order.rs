//! Shops that order lab time, by keys of their own.

use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, OrderNumber, Shop},
    state::HttpState,
    view::{CancelRequest, OrderRequest, OrderView},
};
use axum::{Json, extract::State, http::StatusCode};
use lab_app::entitlement::{OrderRefusal, Ordered};
use serde_json::{Map, Value};

type Answer = Result<(StatusCode, Json<OrderView>), ApiError>;

/// Places an order: one grant of lab time. The same number with the same body again changes nothing and answers the same.
#[utoipa::path(
    post, path = "/api/v1/orders", operation_id = "order_place", tag = "orders", security(("order_key" = [])),
    request_body = OrderRequest,
    responses(
        (status = 201, body = OrderView), (status = 200, body = OrderView, description = "It was there already"),
        (status = 400, body = ErrorView, description = "`order-invalid` (with `fields`: each with what was found and the remedy)"),
        (status = 401, body = ErrorView, description = "`order-key-unknown`"),
        (status = 403, body = ErrorView, description = "`order-not-allowed`: not a course or plan of this key (with `fields`)"),
        (status = 409, body = ErrorView, description = "`order-differs`: the number is another order's (with `fields`: what differs); `order-budget`"),
        (status = 413, body = ErrorView), (status = 429, body = ErrorView, description = "`order-pace` (with `until`)")
    )
)]
pub(crate) async fn place(
    State(state): State<HttpState>,
    Shop(key): Shop,
    Body(body): Body<Map<String, Value>>,
) -> Answer {
    answer(state.app.order_place(&key, &body).await?)
}

/// An order of this shop, with what became of it.
#[utoipa::path(
    get, path = "/api/v1/orders/{order}", operation_id = "order_get", tag = "orders", security(("order_key" = [])),
    params(("order" = String, Path, description = "The shop's own number")),
    responses(
        (status = 200, body = OrderView), (status = 401, body = ErrorView), (status = 404, body = ErrorView, description = "`order-unknown`"),
        (status = 429, body = ErrorView, description = "`order-pace` (with `until`)")
    )
)]
pub(crate) async fn get(State(state): State<HttpState>, Shop(key): Shop, OrderNumber(number): OrderNumber) -> Answer {
    answer(state.app.order_get(&key, &number).await?)
}

/// Takes back what was not used of an order. What was used stays used, and what a running lab holds is finished.
#[utoipa::path(
    post, path = "/api/v1/orders/{order}/cancel", operation_id = "order_cancel", tag = "orders", security(("order_key" = [])),
    params(("order" = String, Path, description = "The shop's own number")),
    request_body = CancelRequest,
    responses(
        (status = 200, body = OrderView), (status = 400, body = ErrorView, description = "`order-invalid` (with `fields`)"),
        (status = 401, body = ErrorView), (status = 404, body = ErrorView, description = "`order-unknown`"),
        (status = 429, body = ErrorView, description = "`order-pace` (with `until`)")
    )
)]
pub(crate) async fn cancel(
    State(state): State<HttpState>,
    Shop(key): Shop,
    OrderNumber(number): OrderNumber,
    Body(body): Body<Map<String, Value>>,
) -> Answer {
    answer(state.app.order_cancel(&key, &number, &body).await?)
}

fn answer(done: Ordered) -> Answer {
    match done {
        Ordered::Done { order, new } => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(OrderView::from(*order))))
        }
        Ordered::Refused(refusal) => Err(refused(&refusal)),
    }
}

fn refused(refusal: &OrderRefusal) -> ApiError {
    let status = match refusal {
        OrderRefusal::Invalid(_) => StatusCode::BAD_REQUEST,
        OrderRefusal::NotAllowed(_) => StatusCode::FORBIDDEN,
        OrderRefusal::Differs(_) | OrderRefusal::Spent(_) => StatusCode::CONFLICT,
        OrderRefusal::Unknown => StatusCode::NOT_FOUND,
    };
    let error = ApiError::new(status, refusal.code(), refusal.message());
    match refusal {
        OrderRefusal::Invalid(fields) | OrderRefusal::NotAllowed(fields) => error.with("fields", fields),
        OrderRefusal::Differs(fields) => error.with("fields", fields),
        OrderRefusal::Spent(_) | OrderRefusal::Unknown => error,
    }
}
