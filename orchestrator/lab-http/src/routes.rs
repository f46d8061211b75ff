//! The table: every route, and who may call it. Denied by default: a route is made from a row, and a row has a [`Who`].

use crate::{
    HttpSettings, Who, api,
    finish::finish,
    guard, headers, lti,
    observe::{observe, panicked},
    openapi, origin, pages, probes,
    serve::placed,
    staff,
    state::HttpState,
    ws,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    handler::Handler,
    http::Method,
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use lab_app::App;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Largest JSON body: the largest real one is a launch token of 4 KiB; sixteen times that.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

struct Route {
    method: Method,
    path: &'static str,
    who: Who,
    handler: MethodRouter<HttpState>,
}

fn get<H: Handler<T, HttpState>, T: 'static>(path: &'static str, who: Who, handler: H) -> Route {
    Route {
        method: Method::GET,
        path,
        who,
        handler: on(MethodFilter::GET, handler),
    }
}

fn post<H: Handler<T, HttpState>, T: 'static>(path: &'static str, who: Who, handler: H) -> Route {
    Route {
        method: Method::POST,
        path,
        who,
        handler: on(MethodFilter::POST, handler),
    }
}

fn table() -> Vec<Route> {
    let mut all = api();
    all.extend(doors());
    all
}

/// What pages and programs ask.
fn api() -> Vec<Route> {
    vec![
        post("/api/v1/launch", Who::Anyone, api::launch::launch),
        post("/api/v1/token/rotate", Who::SIGNED, api::launch::rotate),
        get("/api/v1/me", Who::SIGNED, api::me::me),
        get("/api/v1/labs", Who::LABS, api::lab::list),
        get("/api/v1/labs/{id}", Who::LABS, api::lab::get),
        get("/api/v1/demo/{lab}", Who::LABS, api::demo::get),
        post("/api/v1/sessions", Who::LEARNER, api::session::start),
        get("/api/v1/sessions", Who::SESSIONS, api::session::list),
        get("/api/v1/sessions/{id}", Who::SESSIONS, api::session::get),
        post("/api/v1/sessions/{id}/stop", Who::SESSIONS, api::session::stop),
        post("/api/v1/sessions/{id}/extend", Who::TERMINALS, api::session::extend),
        post("/api/v1/test-runs", Who::TRIERS, api::test_run::link),
        post("/api/v1/vouchers/redeem", Who::LEARNER, api::voucher::redeem),
        post("/api/v1/orders", Who::Shop, api::order::place),
        get("/api/v1/orders/{order}", Who::Shop, api::order::get),
        post("/api/v1/orders/{order}/cancel", Who::Shop, api::order::cancel),
        get("/api/v1/notice", Who::SIGNED, api::privacy::notice),
        post("/api/v1/notice", Who::LEARNER, api::privacy::acknowledge),
        get("/api/v1/looks", Who::LEARNER, api::privacy::looks),
        get("/api/v1/course/people", Who::HELPERS, api::course::people),
        get("/api/v1/people", Who::OPERATIONS, api::privacy::people),
        post("/api/v1/people/show", Who::OPERATIONS, api::privacy::show),
        post("/api/v1/people/export", Who::OPERATIONS, api::privacy::export),
        post("/api/v1/people/erase", Who::OPERATIONS, api::privacy::erase),
        get("/api/v1/learners", Who::COURSES, api::courses::list),
        post("/api/v1/learners/show", Who::USAGE, api::courses::show),
        post("/api/v1/tickets", Who::TERMINALS, api::ticket::create),
        // sockets bring a ticket, which was made for a role and a session
        get("/api/v1/ws", Who::Anyone, ws::terminal_socket),
        get("/api/v1/wall", Who::Anyone, ws::wall_socket),
        get("/api/v1/sessions/{id}/recording", Who::TERMINALS, api::recording::index),
        get(
            "/api/v1/sessions/{id}/recording/journal",
            Who::TERMINALS,
            api::recording::journal,
        ),
        get(
            "/api/v1/sessions/{id}/recording/export",
            Who::TERMINALS,
            api::recording::export,
        ),
        get("/api/v1/usage", Who::USAGE, api::usage::list),
        get("/api/v1/progress", Who::REPORT, api::progress::show),
        get("/api/v1/indicators", Who::REPORT, api::indicators::show),
        post("/api/v1/indicators/rule", Who::TEACHER, api::indicators::rule),
        get("/api/v1/vouchers", Who::ENROLMENT, api::enrolment::batches),
        post("/api/v1/vouchers", Who::ENROLMENT, api::enrolment::make),
        post("/api/v1/vouchers/{id}/revoke", Who::ENROLMENT, api::enrolment::revoke),
        post(
            "/api/v1/vouchers/redeem-for",
            Who::ENROLMENT,
            api::enrolment::redeem_for,
        ),
        post("/api/v1/grants/show", Who::ENROLMENT, api::enrolment::grants),
        get("/api/v1/health", Who::OPERATIONS, api::health::health),
        get("/api/v1/audit", Who::SESSIONS, api::audit::list),
        get("/api/v1/operations", Who::OPERATIONS, api::operations::overview),
        get("/api/v1/operations/pools", Who::OPERATIONS, api::pool::list),
        get("/api/v1/operations/queue", Who::OPERATIONS, api::pool::queue),
        post("/api/v1/operations/pause", Who::OPERATIONS, api::operations::pause),
        post("/api/v1/operations/resume", Who::OPERATIONS, api::operations::resume),
        get("/api/v1/operations/accounts", Who::OPERATIONS, api::accounts::show),
        get(
            "/api/v1/operations/statement",
            Who::STATEMENTS,
            api::accounts::statement,
        ),
        get("/api/v1/operations/lti", Who::OPERATIONS, api::lti::overview),
        post("/api/v1/operations/lti/add", Who::OPERATIONS, api::lti::add),
        get("/api/v1/operations/lti/guides", Who::OPERATIONS, api::lti::guides),
        post("/api/v1/operations/lti/invite", Who::OPERATIONS, api::lti::invite),
        post("/api/v1/operations/lti/approve", Who::OPERATIONS, api::lti::approve),
        post("/api/v1/operations/lti/reject", Who::OPERATIONS, api::lti::reject),
        get("/api/v1/staff", Who::Anyone, staff::offer),
    ]
}

/// What people are sent to, and what watches this program.
fn doors() -> Vec<Route> {
    vec![
        // a link, and what a provider sends people back with
        get("/staff/login", Who::Anyone, staff::login),
        get("/staff/callback", Who::Anyone, staff::callback),
        // forms that platforms sign, or that a signed token comes with
        get("/lti/login", Who::Anyone, lti::login),
        post("/lti/login", Who::Anyone, lti::login_form),
        get("/lti/launch", Who::Anyone, lti::launch_by_hand),
        post("/lti/launch", Who::Anyone, lti::launch),
        get("/lti/labs/{lab}", Who::Anyone, lti::by_hand),
        post("/lti/labs/{lab}", Who::Anyone, lti::launch_lab),
        // a slash or a slip beside these
        get("/lti/{*address}", Who::Anyone, lti::beside_by_hand),
        post("/lti/{*address}", Who::Anyone, lti::launch_beside),
        // a form of our own page, with a ticket that we signed
        post("/lti/choose", Who::Anyone, lti::choose),
        get("/lti/choose.js", Who::Anyone, lti::choose_script),
        // nothing is done for who has no invitation
        get("/lti/register", Who::Anyone, lti::register),
        get("/lti/register.js", Who::Anyone, lti::register_script),
        get("/lti/jwks", Who::Anyone, lti::jwks),
        get("/lti/storage.js", Who::Anyone, lti::storage),
        get("/healthz", Who::Anyone, probes::healthz),
        get("/readyz", Who::Anyone, probes::readyz),
        // guards itself: by token, or by where the reader is
        get("/metrics", Who::Anyone, probes::metrics),
        get("/openapi.json", Who::Anyone, openapi::show),
    ]
}

/// Method, path and who may call, of every route; what tests and documentation walk.
pub fn routes() -> Vec<(Method, &'static str, Who)> {
    table().into_iter().map(|r| (r.method, r.path, r.who)).collect()
}

/// The whole door. One per registry of `settings`.
pub fn router(app: Arc<App>, settings: HttpSettings) -> Router {
    let security: Arc<[_]> = headers::security(&settings).into();
    let body_within = settings.body_within;
    let state = HttpState::new(app, settings);
    let mut router = Router::new();
    for route in table() {
        let who = route.who;
        let check =
            move |state: State<HttpState>, request: Request, next: Next| guard::guard(who, state, request, next);
        router = router.route(
            route.path,
            route.handler.layer(from_fn_with_state(state.clone(), check)),
        );
    }
    // inside out: what stands last sees a request first
    router
        .fallback(pages::show)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(move |request, next| finish(body_within, request, next)))
        .layer(from_fn_with_state(state.clone(), origin::check))
        .layer(from_fn(placed))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), observe))
        .layer(axum::middleware::map_response(move |mut response: Response| {
            let security = security.clone();
            async move {
                for (name, value) in security.iter() {
                    // a handler that says otherwise knows why
                    response.headers_mut().entry(name).or_insert_with(|| value.clone());
                }
                response
            }
        }))
        .with_state(state)
}
