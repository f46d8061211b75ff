//! Staff sign in at their organisation by OpenID Connect (code with PKCE), and arrive by a launch link for a minute, like everybody:
//! nothing behind this stage knows of it.
//!
//! ```text
//! /staff/login     begin.rs     state, nonce and browser's proof made; their hashes kept for ten minutes
//!    provider      provider.rs  its addresses and keys, read by discovery and kept for ten minutes
//! /staff/callback  arrive.rs    state, browser, once; the code for a token; token.rs checks it; groups become roles; a link each
//! ```

mod arrive;
mod begin;
mod provider;
mod token;

pub use arrive::{Callback, StaffLink};
pub use begin::StaffBegun;
pub(crate) use provider::Provider;

use lab_core::launch::staff::GroupRule;
use secrecy::SecretString;

/// Where staff sign in, and what they are here.
#[derive(Clone, Debug)]
pub struct StaffSettings {
    /// As the provider writes it in what it signs.
    pub issuer: String,
    pub client_id: String,
    /// None: a public client, which PKCE alone protects.
    pub client_secret: Option<SecretString>,
    /// Asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    /// Who is in several groups has what each gives, and says at sign-in as what they come.
    pub roles: Vec<GroupRule>,
}

/// Where the provider sends people back to, below the public address.
pub const CALLBACK_PATH: &str = "/staff/callback";

/// PKCE's verifier: made of what the browser keeps, so that nobody who reads our database has it.
fn verifier(browser: &str) -> openidconnect::PkceCodeVerifier {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let key = blake3::derive_key("labwire 2026-11-28 staff sign-in PKCE verifier", browser.as_bytes());
    openidconnect::PkceCodeVerifier::new(URL_SAFE_NO_PAD.encode(key))
}
