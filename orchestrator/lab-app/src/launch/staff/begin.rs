//! The way to the provider.

use super::{StaffSettings, verifier};
use crate::{App, AppError, launch::mint};
use lab_core::{
    TokenHash,
    launch::staff::{SIGN_INS_A_MINUTE, StaffFault, StaffState},
};
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, Scope, core::CoreAuthenticationFlow};
use std::{net::IpAddr, time::Duration};

/// From the click to the provider's answer: a person who looks for their second factor meanwhile takes minutes.
const STATE_TTL: Duration = Duration::from_mins(10);

/// A sign-in that was begun: what the browser keeps, and where it goes.
#[derive(Clone)]
pub struct StaffBegun {
    pub auth_url: String,
    /// Names what is kept.
    pub state: String,
    /// What is kept: proves that the answer comes to the browser that asked.
    pub browser: String,
}

impl std::fmt::Debug for StaffBegun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaffBegun").finish_non_exhaustive()
    }
}

impl App {
    /// Whether staff can sign in here.
    pub fn staff_configured(&self) -> bool {
        self.settings.staff.is_some()
    }

    pub(super) fn staff_settings(&self) -> Result<&StaffSettings, AppError> {
        let missing = || {
            StaffFault::NotConfigured
                .because("the setting staff_login is not there")
                .into()
        };
        self.settings.staff.as_ref().ok_or_else(missing)
    }

    /// Begins a sign-in from an address.
    ///
    /// # Errors
    /// [`AppError::Staff`] when nothing is configured, the address goes too fast, or the provider cannot be read.
    pub async fn staff_begin(&self, from: IpAddr) -> Result<StaffBegun, AppError> {
        let settings = self.staff_settings()?;
        // before the provider is asked, or anything is kept
        self.staff_pace.step_from(from, self.now()).map_err(|until| {
            StaffFault::Pace.because(format!(
                "more than {SIGN_INS_A_MINUTE} sign-ins of one address in a minute; again at {until}"
            ))
        })?;
        let client = self.provider.client(&self.ports, &self.settings, settings).await?;
        let [state, nonce, browser] = [(); 3].map(|()| mint::secret(self.ports.entropy.as_ref()));
        let row = StaffState {
            state: TokenHash::of(&state),
            nonce: TokenHash::of(&nonce),
            browser: TokenHash::of(&browser),
            expires_at: self.now().plus(STATE_TTL),
        };
        let (csrf, nonce) = (CsrfToken::new(state.clone()), Nonce::new(nonce));
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || csrf, move || nonce)
            .add_scopes(settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier(&browser)));
        let (auth_url, _, _) = request.url();
        self.ports.store.staff_state_put(&row).await?;
        Ok(StaffBegun {
            auth_url: auth_url.into(),
            state,
            browser,
        })
    }
}
