//! The login initiation of LTI 1.3.

use super::{REDIRECT_PATH, Whose};
use crate::{App, AppError, launch::mint};
use lab_core::{
    TokenHash,
    launch::lti::{
        Fault, Initiation, Kind, LAUNCHES_A_MINUTE, LtiRefusal, LtiState, Params, Registration, RegistrationKey,
        Version, auth_request,
    },
};
use std::{net::IpAddr, time::Duration};

/// From the click to the platform's answer: a person who signs in at the platform meanwhile takes minutes.
const STATE_TTL: Duration = Duration::from_mins(10);

/// A login that was begun: what the browser keeps, and where it goes.
#[derive(Clone)]
pub struct Begun {
    pub auth_url: String,
    /// Names what is kept.
    pub state: String,
    /// What is kept: proves that the answer comes to the browser that asked.
    pub browser: String,
    /// The platform offers to keep it too.
    pub storage: Option<StorageOffer>,
}

/// A platform's storage, by messages between windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOffer {
    /// The frame to ask: a name, or `_parent`.
    pub frame: String,
    /// The only origin that is asked and believed: that of the platform's authentication address.
    pub origin: String,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun")
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

/// Where a registration sends people, and what of its storage was offered.
pub(super) fn storage(initiation: &Initiation, auth_url: &str) -> Option<StorageOffer> {
    let frame = initiation.lti_storage_target.clone()?;
    let (scheme, rest) = auth_url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some(StorageOffer {
        frame,
        origin: format!("{scheme}://{host}"),
    })
}

/// Nobody has this issuer and client id: perhaps a registration was meant to, and is off by a letter.
fn unknown(initiation: &Initiation, all: &[Registration]) -> LtiRefusal {
    let sent = &initiation.iss;
    let client = initiation.client_id.as_deref().unwrap_or_default();
    let next = all.iter().find_map(|r| match &r.kind {
        Kind::Platform { issuer, .. } if issuer == sent => Some(format!(
            "the registration {} has this issuer with another client_id; `labwire lti add` makes one of this client_id, or changes {0}",
            r.id
        )),
        Kind::Platform { issuer, .. } if r.kind.is_of_host(sent) => Some(format!(
            "the registration {} has issuer {issuer:?}: `labwire lti add {0} …` with the issuer exactly as it was sent changes it",
            r.id
        )),
        _ => None,
    });
    let next = next.unwrap_or_else(|| "add it by `labwire lti add`".to_owned());
    Fault::PlatformUnknown.because(format!(
        "no registration has issuer {sent:?} and client_id {client:?}; {next}"
    ))
}

impl App {
    /// Counts a launch that is begun from an address. Who answers a login that was begun is not counted again: it holds a state of ours.
    pub(super) fn launch_paced(&self, from: IpAddr) -> Result<(), AppError> {
        self.launch_pace.step_from(from, self.now()).map_err(|until| {
            let detail = format!("more than {LAUNCHES_A_MINUTE} launches of one address in a minute; again at {until}");
            Fault::LaunchPace.because(detail).into()
        })
    }

    /// Begins a launch by LTI 1.3.
    ///
    /// # Errors
    /// [`AppError::Lti`]; it is kept for `labwire lti test`, unless the address it came from goes too fast.
    pub async fn lti_begin(&self, params: &Params, from: IpAddr) -> Result<Begun, AppError> {
        self.launch_paced(from)?;
        let mut whose = Whose::default();
        let begun = self.begin(params, &mut whose).await;
        self.noted(Version::V1p3, whose, begun).await
    }

    async fn begin(&self, params: &Params, whose: &mut Whose) -> Result<Begun, AppError> {
        whose.platform = params.filled("iss").map(str::to_owned);
        let initiation = Initiation::read(params)?;
        let registration = self.platform_of(&initiation).await?;
        whose.registration = Some(registration.id.clone());
        initiation.is_for(&self.settings.public_url)?;
        let Kind::Platform {
            client_id, auth_url, ..
        } = &registration.kind
        else {
            return Err(super::broken("a platform was looked for and something else was found"));
        };
        let [state, nonce, browser] = [(); 3].map(|()| mint::secret(self.ports.entropy.as_ref()));
        let redirect = format!("{}{REDIRECT_PATH}", self.settings.public_url);
        let begun = Begun {
            auth_url: auth_request(auth_url, client_id, &redirect, &initiation, &state, &nonce),
            storage: storage(&initiation, auth_url),
            state,
            browser,
        };
        let row = LtiState {
            state: TokenHash::of(&begun.state),
            nonce: TokenHash::of(&nonce),
            browser: TokenHash::of(&begun.browser),
            registration: registration.id,
            target: initiation.target_link_uri.clone(),
            initiation: serde_json::to_string(&initiation).map_err(|_| super::broken("an initiation is plain JSON"))?,
            expires_at: self.now().plus(STATE_TTL),
        };
        self.ports.store.lti_state_put(&row).await?;
        Ok(begun)
    }

    /// The one registration that is meant; never a guess.
    async fn platform_of(&self, initiation: &Initiation) -> Result<Registration, AppError> {
        let key = RegistrationKey::Platform {
            issuer: initiation.iss.clone(),
            client_id: initiation.client_id.clone(),
        };
        let mut found = self.ports.store.lti_registration_find(&key).await?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Fault::ClientIdMissing
                .because(format!(
                    "{:?} has several registrations, and client_id was not sent",
                    initiation.iss
                ))
                .into()),
            (None, _) => {
                let all = self.ports.store.lti_registration_list().await?;
                Err(unknown(initiation, &all).into())
            }
        }
    }
}
