//! The description of the API, made from the handlers and their types.

use crate::{api, error, lti, probes, staff, view, ws};
use axum::http::header;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Labwire", description = "Remote labs for network simulators. Errors have `code`, `message` and `next`."),
    paths(
        api::launch::launch, api::launch::rotate, api::me::me, api::lab::list, api::lab::get, api::demo::get,
        api::session::start, api::session::list, api::session::get, api::session::stop, api::session::extend, api::test_run::link,
        api::voucher::redeem, api::order::place, api::order::get, api::order::cancel, api::ticket::create, ws::terminal_socket, ws::wall_socket,
        api::privacy::notice, api::privacy::acknowledge, api::privacy::looks, api::privacy::people, api::privacy::show,
        api::privacy::export, api::privacy::erase,
        api::courses::list, api::courses::show,
        api::recording::index, api::recording::journal, api::recording::export,
        api::usage::list, api::health::health, api::audit::list,
        api::operations::overview, api::pool::list, api::pool::queue, api::operations::pause, api::operations::resume,
        api::accounts::show, api::accounts::statement,
        api::course::people, api::lti::overview, api::lti::add, api::lti::guides, api::lti::invite, api::lti::approve, api::lti::reject,
        lti::login, lti::login_form, lti::launch_by_hand, lti::launch, lti::by_hand, lti::launch_lab, lti::launch_beside, lti::beside_by_hand, lti::jwks, lti::storage,
        lti::choose, lti::choose_script, lti::register, lti::register_script,
        api::progress::show, api::indicators::show, api::indicators::rule, api::enrolment::batches, api::enrolment::make, api::enrolment::revoke, api::enrolment::redeem_for,
        api::enrolment::grants,
        staff::offer, staff::login, staff::callback,
        probes::healthz, probes::readyz, probes::metrics, show,
    ),
    components(schemas(error::ErrorView, view::RefusalView, view::LabSummaryView)),
    modifiers(&Bearer),
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme("order_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The OpenAPI document, indented, with a line end; what `/openapi.json` shows and the page's client is made from.
///
/// # Panics
/// Never: the document has string keys and finite numbers only.
pub fn openapi_json() -> String {
    let mut text = Api::openapi()
        .to_pretty_json()
        .expect("the document has string keys and finite numbers");
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "probes", responses((status = 200, description = "OpenAPI document")))]
pub(crate) async fn show() -> ([(header::HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json())
}
