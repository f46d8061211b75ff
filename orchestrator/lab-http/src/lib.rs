//! The door: HTTP and WebSockets in front of [`lab_app::App`]. No rules and no SQL here: a handler reads the request, asks the
//! app, and shows the answer.
//!
//! One request's way, outside in:
//!
//! ```text
//! serve        accept, bounded, with probes answered when it is full; header deadline; one task per connection, joined at shutdown
//! observe      request id, span, metrics by route and status class, one log line per failure, panics, time limit
//! headers      content-security policy and its family
//! origin       an Origin that is not ours may change nothing and open no socket
//! finish       what changes something is not stopped by a browser that hangs up; its body is here first, within its time
//! routes       the table: method, path, who may call; the guard is put on by the table, so a route without one cannot exist
//! lti/         the door for learning platforms: forms of other sites, answered by pages
//! staff/       staff sign in at their organisation (OpenID Connect): redirects, and pages where it does not work out
//! api/<noun>   handlers, a file per noun            ws/  sockets            pages  what the web build made
//! ```

mod api;
mod cookie;
mod error;
mod extract;
mod finish;
mod guard;
mod headers;
mod lti;
mod observe;
mod openapi;
mod origin;
mod page;
mod pages;
mod probes;
mod routes;
mod serve;
mod settings;
mod staff;
mod state;
mod view;
mod ws;

pub use guard::Who;
pub use openapi::openapi_json;
pub use routes::{router, routes};
pub use serve::{Bounds, CONNECTIONS_MAX, DRAIN_WITHIN, serve, serve_bounded};
pub use settings::{HttpSettings, Pace};
pub use ws::{BridgeOptions, bridge_terminal, socket_limits};
