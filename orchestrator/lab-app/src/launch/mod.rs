//! Stage 1, launch: a signed link becomes a login, a login becomes single-use tickets.
//!
//! ```text
//!  link (JWT, single use) ──launch──► bearer (32 random bytes, stored as a hash) ──ticket──► WebSocket (30 s, single use)
//!                                        │    ▲
//!                                        └rotate  (the old one stays valid for 60 s: two requests may be under way)
//! ```
//! Launches by LTI ([`lti`]) and sign-ins of staff ([`staff`]) end in such a link.
//! Nothing secret is stored: bearers and tickets are kept as hashes, links as the id of what was used.

mod keyring;
mod login;
pub mod lti;
pub(crate) mod mint;
pub(crate) mod sockets;
pub mod staff;
mod ticket;

pub use keyring::{Key, Keyring, KeyringError, LINK_BYTES_MAX, SECRET_BYTES_MIN};
pub use login::{BEARER_GRACE, STAFF_LOGIN_MAX, Signed};
pub use sockets::SocketPlace;
pub use ticket::{Opened, TICKET_TTL};

use std::time::Duration;

/// A link that a redirect carries is opened by it.
pub(crate) const LINK_VALID: Duration = Duration::from_mins(1);
