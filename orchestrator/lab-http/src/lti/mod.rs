//! The door for learning platforms: launches by LTI come as forms of other sites' pages, and are answered by pages or by a redirect
//! to `/launch`, never by JSON.

mod page;
mod picker;
mod register;

use crate::{
    cookie::{self, Of},
    error::ApiError,
    extract::Address,
    origin::is_ours,
    state::HttpState,
};
use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use lab_app::launch::lti::{Answered, Begun, Browser, Launched};
use lab_core::launch::lti::{Fault, Language, LtiRefusal, Params, percent_encode};
use serde_json::json;
use std::net::IpAddr;

/// A page asked one of our addresses for what a platform would send there.
const OPENED_BY_HAND: &str = "lti-opened-by-hand";

/// Begins a launch by LTI 1.3, from a query.
#[utoipa::path(
    get, path = "/lti/login", operation_id = "lti_login", tag = "lti",
    responses((status = 303, description = "to the platform"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: very many launches of this address"))
)]
pub(crate) async fn login(
    State(state): State<HttpState>,
    Address(from): Address,
    RawQuery(query): RawQuery,
) -> Response {
    begin(&state, from, params(query.as_deref().unwrap_or_default())).await
}

/// Begins a launch by LTI 1.3, from a form.
#[utoipa::path(
    post, path = "/lti/login", operation_id = "lti_login_form", tag = "lti",
    responses((status = 303, description = "to the platform"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: very many launches of this address"))
)]
pub(crate) async fn login_form(
    State(state): State<HttpState>,
    Address(from): Address,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    begin(&state, from, form(body)).await
}

/// A platform's answer (1.3), or a launch (1.1) whose lab is in the parameter `custom_lab`.
#[utoipa::path(
    post, path = "/lti/launch", operation_id = "lti_launch", tag = "lti",
    responses((status = 200, description = "a page to choose labs from"), (status = 303, description = "to /launch"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: very many launches of this address"))
)]
pub(crate) async fn launch(
    State(state): State<HttpState>,
    Address(from): Address,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    arrive(&state, from, &uri, &headers, form(body)).await
}

/// The same, at the address of a lab.
#[utoipa::path(
    post, path = "/lti/labs/{lab}", operation_id = "lti_launch_lab", tag = "lti",
    params(("lab" = String, Path, description = "id or UUID")),
    responses((status = 303, description = "to /launch"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: very many launches of this address"))
)]
pub(crate) async fn launch_lab(
    State(state): State<HttpState>,
    Address(from): Address,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    arrive(&state, from, &uri, &headers, form(body)).await
}

/// A launch at an address that is none of ours but for a slash, or by a slip in the course: whose it is is told of it.
#[utoipa::path(
    post, path = "/lti/{address}", operation_id = "lti_launch_beside", tag = "lti",
    params(("address" = String, Path, description = "anything else below /lti")),
    responses((status = 303, description = "to /launch, when only a slash is too much"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: very many launches of this address"))
)]
pub(crate) async fn launch_beside(
    State(state): State<HttpState>,
    Address(from): Address,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    arrive(&state, from, &uri, &headers, form(body)).await
}

/// Our public keys.
#[utoipa::path(get, path = "/lti/jwks", operation_id = "lti_jwks", tag = "lti", responses((status = 200, description = "a set of keys (RFC 7517)")))]
pub(crate) async fn jwks(State(state): State<HttpState>) -> Result<Response, ApiError> {
    let keys = state.app.lti_public_keys().await?;
    let keys: Vec<_> = keys
        .iter()
        .map(|k| json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid, "n": k.n, "e": k.e}))
        .collect();
    // platforms keep it for long anyway; a new key signs nothing that they must verify before an hour has passed
    let cache = [(header::CACHE_CONTROL, "public, max-age=300")];
    Ok((cache, Json(json!({ "keys": keys }))).into_response())
}

/// What somebody sees who opens a launch address by hand.
#[utoipa::path(
    get, path = "/lti/labs/{lab}", operation_id = "lti_lab_by_hand", tag = "lti",
    params(("lab" = String, Path, description = "id or UUID")),
    responses((status = 400, description = "a page that says what this address is for"))
)]
pub(crate) async fn by_hand() -> Response {
    page::by_hand(OPENED_BY_HAND)
}

/// The same for the general address.
#[utoipa::path(get, path = "/lti/launch", operation_id = "lti_launch_by_hand", tag = "lti", responses((status = 400, description = "a page that says what this address is for")))]
pub(crate) async fn launch_by_hand() -> Response {
    page::by_hand(OPENED_BY_HAND)
}

/// The same for what is none of our addresses.
#[utoipa::path(
    get, path = "/lti/{address}", operation_id = "lti_beside_by_hand", tag = "lti",
    params(("address" = String, Path, description = "anything else below /lti")),
    responses((status = 400, description = "a page that says what such addresses are for"))
)]
pub(crate) async fn beside_by_hand() -> Response {
    page::by_hand(OPENED_BY_HAND)
}

/// A platform's administrator registers it, by an invitation.
#[utoipa::path(
    get, path = "/lti/register", operation_id = "lti_register", tag = "lti",
    params(
        ("invitation" = String, Query, description = "ours, by `labwire lti invite`"),
        ("openid_configuration" = String, Query, description = "where the platform describes itself"),
        ("registration_token" = Option<String>, Query, description = "the platform's, handed back to it")
    ),
    responses((status = 200, description = "a page that says that the platform waits for a yes"), (status = 400, description = "a page that says why not"), (status = 429, description = "a page: too many tries, of the invitation or of this address"))
)]
pub(crate) async fn register(
    State(state): State<HttpState>,
    Address(from): Address,
    RawQuery(query): RawQuery,
) -> Response {
    let params = match params(query.as_deref().unwrap_or_default()) {
        Ok(params) => params,
        Err((refusal, status)) => return page::refused(&refusal, status),
    };
    let response = match state.app.lti_register(&params, from).await {
        Ok(came) => register::waits(&came),
        Err(e) => page::failed(e),
    };
    no_store(register::framed(response, &state.settings, &params))
}

/// Tells the platform that its window may be closed.
#[utoipa::path(get, path = "/lti/register.js", operation_id = "lti_register_script", tag = "lti", responses((status = 200, description = "a script")))]
pub(crate) async fn register_script() -> Response {
    script(include_str!("register.js"))
}

/// Asks the platform's storage, where cookies are blocked.
#[utoipa::path(get, path = "/lti/storage.js", operation_id = "lti_storage", tag = "lti", responses((status = 200, description = "a script")))]
pub(crate) async fn storage() -> Response {
    script(include_str!("storage.js"))
}

/// Searches labs, and sends the answer.
#[utoipa::path(get, path = "/lti/choose.js", operation_id = "lti_choose_script", tag = "lti", responses((status = 200, description = "a script")))]
pub(crate) async fn choose_script() -> Response {
    script(include_str!("choose.js"))
}

fn script(text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// What a teacher chose, from our own page; the answer is a page that takes it to the platform.
#[utoipa::path(
    post, path = "/lti/choose", operation_id = "lti_choose", tag = "lti",
    responses((status = 200, description = "a page that sends the choice to the platform"), (status = 400, description = "a page that says why not"))
)]
pub(crate) async fn choose(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let params = match form(body) {
        Ok(params) => params,
        Err((refusal, status)) => return page::refused(&refusal, status),
    };
    let response = match state.app.lti_choose(&params).await {
        Ok(Answered::Send { return_url, token }) => picker::send(&state.settings, &return_url, &token),
        Ok(Answered::Again(again)) => picker::choose(&state.settings, &again, language(params.get("lang"), &headers)),
        Err(e) => page::failed(e),
    };
    no_store(response)
}

/// The language that was asked for, or else the browser's.
fn language(asked: Option<&str>, headers: &HeaderMap) -> Language {
    let browsers = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    let known = [asked, browsers].into_iter().flatten().find_map(Language::from_tags);
    known.unwrap_or(Language::Fr)
}

/// What was sent, or why it cannot be read.
type Sent = Result<Params, (LtiRefusal, StatusCode)>;

fn params(text: &str) -> Sent {
    let unreadable = || Fault::FormUnreadable.because("not application/x-www-form-urlencoded in UTF-8");
    Params::parse(text).ok_or_else(|| (unreadable(), StatusCode::BAD_REQUEST))
}

fn form(body: Result<Bytes, BytesRejection>) -> Sent {
    let broken = |e: BytesRejection| {
        (
            Fault::FormUnreadable.because("the form is too large, or broke off"),
            e.status(),
        )
    };
    let body = body.map_err(broken)?;
    params(std::str::from_utf8(&body).unwrap_or("%"))
}

async fn begin(state: &HttpState, from: IpAddr, params: Sent) -> Response {
    let params = match params {
        Ok(params) => params,
        Err((refusal, status)) => return page::refused(&refusal, status),
    };
    match state.app.lti_begin(&params, from).await {
        Ok(begun) => begun_response(state, &begun),
        Err(e) => page::failed(e),
    }
}

fn begun_response(state: &HttpState, begun: &Begun) -> Response {
    let mut response = match &begun.storage {
        // the cookie may do all the same: the page goes on whether the platform keeps it or not
        Some(offer) => page::keep(begun, offer),
        None => redirect(&begun.auth_url),
    };
    if let Some(cookie) = cookie::set(Of::Lti, &state.settings.public_url, &begun.state, &begun.browser) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    no_store(response)
}

async fn arrive(state: &HttpState, from: IpAddr, uri: &Uri, headers: &HeaderMap, params: Sent) -> Response {
    let params = match params {
        Ok(params) => params,
        Err((refusal, status)) => return page::refused(&refusal, status),
    };
    let launched = if params.get("id_token").is_some() || params.get("state").is_some() {
        // from the cookie, or from the platform's storage by our own page. A form of another site could bring the proof of that site's
        // owner, and sign a visitor in as somebody else.
        let own_page = headers.contains_key(header::ORIGIN) && is_ours(headers, &state.origin);
        let kept = params.filled("labwire_browser").filter(|_| own_page).map(str::to_owned);
        let browser = |state: &str| cookie::get(Of::Lti, headers, state).or_else(|| kept.clone());
        state.app.lti_token(&params, &Browser(&browser)).await
    } else {
        // as browsers know it, whatever a proxy made of it
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let url = format!("{}{path}", state.settings.public_url);
        state.app.lti_form(&url, &params, from).await.map(Launched::Link)
    };
    let response = match launched {
        Ok(Launched::Link(token)) => redirect(&format!("/launch?token={}", percent_encode(&token))),
        Ok(Launched::Choose(choice)) => {
            let language = language(choice.request.locale.as_deref(), headers);
            picker::choose(&state.settings, &choice, language)
        }
        Ok(Launched::Unproven { again, storage }) => page::unproven(&params, &again, storage.as_ref()),
        Err(e) => page::failed(e),
    };
    no_store(response)
}

/// Always by GET, whatever brought us here.
fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
        Err(_) => page::refused(
            &Fault::FormUnreadable.because("the platform's address is not ASCII"),
            StatusCode::BAD_REQUEST,
        ),
    }
}

/// Answers hold states and tokens; and the platform's window must stay reachable for its storage.
fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("unsafe-none"),
    );
    response
}

/// The code that the log and the metrics have of a refusal.
fn failure(refusal: &LtiRefusal) -> crate::error::Failure {
    crate::error::Failure {
        code: refusal.fault.code(),
        private: Some(refusal.detail.clone()),
    }
}
