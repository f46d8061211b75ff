//! The door from outside. One binary: it links once.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's own exception for tests does not see their helpers"
)]

#[path = "http/api.rs"]
mod api;
#[path = "http/bridge.rs"]
mod bridge;
#[path = "http/courses.rs"]
mod courses;
#[path = "http/exports.rs"]
mod exports;
#[path = "http/guards.rs"]
mod guards;
#[path = "http/headers.rs"]
mod headers;
#[path = "http/indicators.rs"]
mod indicators;
#[path = "http/kit.rs"]
mod kit;
#[path = "http/logins.rs"]
mod logins;
#[path = "http/lti/mod.rs"]
mod lti;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/operations.rs"]
mod operations;
#[path = "http/orders.rs"]
mod orders;
#[path = "http/places.rs"]
mod places;
#[path = "http/privacy.rs"]
mod privacy;
#[path = "http/replays.rs"]
mod replays;
#[path = "http/roles.rs"]
mod roles;
#[path = "http/staff.rs"]
mod staff;
#[path = "http/test_runs.rs"]
mod test_runs;
#[path = "http/ws.rs"]
mod ws;
