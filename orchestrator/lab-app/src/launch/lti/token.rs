//! The platform's answer of LTI 1.3: an `id_token`, validated step by step.

use super::{Picker, StorageOffer, Whose, begin::storage, mark, signature};
use crate::{App, AppError};
use lab_core::{
    TokenHash,
    launch::lti::{
        ExpectedToken, Fault, Initiation, Kind, LtiState, Message, Migration, Params, ReturnsTo, Version, check_claims,
    },
    port::Redeem,
};

/// What a launch by LTI came to.
#[derive(Clone)]
pub enum Launched {
    /// A launch link's token, good for a minute, once.
    Link(String),
    /// A teacher is to choose labs.
    Choose(Box<Picker>),
    /// The browser brought nothing that proves it is the one that began: its cookie was blocked, or it never had one.
    Unproven {
        /// Begins the same launch again, in a window of its own, where its cookie is kept.
        again: String,
        /// Where the proof may be instead.
        storage: Option<StorageOffer>,
    },
}

/// What the browser brings to prove itself, by state.
pub struct Browser<'a>(pub &'a (dyn Fn(&str) -> Option<String> + Sync));

impl App {
    /// Validates the platform's answer.
    ///
    /// # Errors
    /// [`AppError::Lti`] with the first step that failed; it is kept for `labwire lti test`.
    pub async fn lti_token(&self, params: &Params, browser: &Browser<'_>) -> Result<Launched, AppError> {
        let mut whose = Whose::default();
        let launched = self.token(params, browser, &mut whose).await;
        self.noted(Version::V1p3, whose, launched).await
    }

    async fn token(&self, params: &Params, browser: &Browser<'_>, whose: &mut Whose) -> Result<Launched, AppError> {
        // 1: known and unexpired, of this browser, and unused
        let (state, row) = self.state_of(params).await?;
        whose.registration = Some(row.registration.clone());
        let registration = self.ports.store.lti_registration_get(&row.registration).await?;
        let registration =
            registration.ok_or_else(|| Fault::PlatformUnknown.because("the registration was removed meanwhile"))?;
        let Kind::Platform {
            issuer,
            client_id,
            auth_url,
            token_url,
            jwks,
            deployments,
            ..
        } = &registration.kind
        else {
            return Err(Fault::PlatformUnknown
                .because("the registration is of LTI 1.1 now")
                .into());
        };
        match browser.0(state) {
            None => return self.unproven(&row, auth_url),
            Some(proof) if TokenHash::of(&proof) != row.browser => {
                return Err(Fault::OtherBrowser
                    .because("the browser's cookie is not the one of this state")
                    .into());
            }
            Some(_) => {}
        }
        if let Redeem::Used { at } = self
            .ports
            .store
            .launch_redeem(mark("state", &[state]), self.now(), row.expires_at)
            .await?
        {
            return Err(Fault::StateUsed.because(format!("the state was used at {at}")).into());
        }
        if let Some(error) = params.filled("error") {
            return Err(Fault::PlatformError
                .because(format!("the platform says error={error:?}"))
                .into());
        }
        let token = params
            .filled("id_token")
            .ok_or_else(|| Fault::ParameterMissing.because("id_token is missing or empty in the platform's answer"))?;
        // 2 to 4
        let envelope = signature::envelope(token)?;
        let key = self.platform_keys.key(&self.ports, jwks, &envelope.kid).await?;
        let claims = signature::verify(token, &key)?;
        // 5 to 15
        let expected = ExpectedToken {
            issuer,
            client_id,
            nonce: row.nonce,
            deployments,
            target: &row.target,
            public_url: &self.settings.public_url,
            returns_to: ReturnsTo {
                addresses: &[issuer, auth_url, token_url],
                private_hosts: &self.settings.private_hosts,
            },
        };
        let launched = match check_claims(&claims, &expected, self.now())? {
            Message::Launch { launch, target } => {
                if let Some(old) = Migration::of_token(&claims, client_id) {
                    self.migrate(&registration, &launch, &old).await?;
                }
                Launched::Link(self.arrive(&registration, *launch, &target).await?)
            }
            Message::Choose(request) => Launched::Choose(self.picker(&registration, request).await?),
        };
        self.launched(&registration.id).await;
        Ok(launched)
    }

    async fn state_of<'a>(&self, params: &'a Params) -> Result<(&'a str, LtiState), AppError> {
        let state = params
            .filled("state")
            .ok_or_else(|| Fault::StateUnknown.because("state is missing or empty in the platform's answer"))?;
        let row = self.ports.store.lti_state_get(TokenHash::of(state), self.now()).await?;
        let row =
            row.ok_or_else(|| Fault::StateUnknown.because("the state is not one of ours, or older than ten minutes"))?;
        Ok((state, row))
    }

    /// The state stays usable: without its browser's proof nobody can use it.
    fn unproven(&self, row: &LtiState, auth_url: &str) -> Result<Launched, AppError> {
        let initiation: Initiation =
            serde_json::from_str(&row.initiation).map_err(|_| super::broken("a stored initiation cannot be read"))?;
        Ok(Launched::Unproven {
            again: initiation.again(&self.settings.public_url),
            storage: storage(&initiation, auth_url),
        })
    }
}
