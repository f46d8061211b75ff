//! Staff sign in at their organisation: out by a redirect, back by another, and a page in two languages where it does not work out.

mod page;

use crate::{
    cookie::{self, Of},
    error::ApiError,
    extract::Address,
    state::HttpState,
    view::StaffOfferView,
};
use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_app::launch::staff::{Callback, StaffLink};
use lab_core::launch::{
    lti::{Params, percent_encode},
    staff::StaffFault,
};

/// Whether staff can sign in here, for the page that somebody sees who is not.
#[utoipa::path(get, path = "/api/v1/staff", operation_id = "staff_offer", tag = "launch", responses((status = 200, body = StaffOfferView)))]
pub(crate) async fn offer(State(state): State<HttpState>) -> Result<Json<StaffOfferView>, ApiError> {
    Ok(Json(StaffOfferView {
        login: state.app.staff_configured().then(|| "/staff/login".to_owned()),
    }))
}

/// Begins a sign-in of staff.
#[utoipa::path(
    get, path = "/staff/login", operation_id = "staff_login", tag = "launch",
    responses((status = 303, description = "to the provider"), (status = 404, description = "a page: nothing is configured"), (status = 429, description = "a page: too many sign-ins from this address"), (status = 503, description = "a page: the provider does not answer"))
)]
pub(crate) async fn login(State(state): State<HttpState>, Address(from): Address) -> Response {
    let begun = match state.app.staff_begin(from).await {
        Ok(begun) => begun,
        Err(e) => return page::failed(e),
    };
    let mut response = redirect(&begun.auth_url);
    if let Some(cookie) = cookie::set(Of::Staff, &state.settings.public_url, &begun.state, &begun.browser) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The provider's answer.
#[utoipa::path(
    get, path = "/staff/callback", operation_id = "staff_callback", tag = "launch",
    responses((status = 200, description = "a page: as what, for who may be several things here"), (status = 303, description = "to /launch"), (status = 400, description = "a page that says why not"), (status = 403, description = "a page: no group has a role"))
)]
pub(crate) async fn callback(
    State(state): State<HttpState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(params) = Params::parse(query.as_deref().unwrap_or_default()) else {
        let unreadable = "not application/x-www-form-urlencoded in UTF-8";
        return page::failed(StaffFault::RequestUnreadable.because(unreadable).into());
    };
    let browser = |state: &str| cookie::get(Of::Staff, &headers, state);
    let callback = Callback {
        params: &params,
        browser: &browser,
    };
    match state.app.staff_arrive(&callback).await {
        Ok(links) => match links.as_slice() {
            [one] => redirect(&launch_address(one)),
            several => page::choice(several),
        },
        Err(e) => page::failed(e),
    }
}

/// Where a link is opened.
fn launch_address(link: &StaffLink) -> String {
    format!("/launch?token={}", percent_encode(&link.token))
}

fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => {
            let headers = [
                (header::LOCATION, to),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(_) => page::failed(
            StaffFault::ProviderWrong
                .because("the provider's address is not ASCII")
                .into(),
        ),
    }
}
