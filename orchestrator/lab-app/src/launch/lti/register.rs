//! A platform registers itself, by an invitation: it is asked what it is, told what we are, and waits for a yes.

use super::Whose;
use crate::{App, AppError};
use lab_core::{
    TokenHash,
    launch::lti::{
        Configuration, Fault, INVITATION_TRIES_MAX, Kind, LtiRefusal, Params, REGISTRATIONS_A_MINUTE, Tried, Version,
        Waiting, is_host_of, may_be_asked, place, read_configuration, read_registered, tool_registration,
    },
    port::{PlatformAnswer, PlatformError, PlatformRequest, Unreached},
};
use std::net::IpAddr;

/// The longest registration token that is handed on: Moodle's is a signed one of half a kilobyte.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Who waits now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameByInvitation {
    pub issuer: String,
    pub product: String,
}

impl App {
    /// A platform's browser came to the address of an invitation. Nothing but the store is asked before the invitation is found to be good.
    ///
    /// # Errors
    /// [`AppError::Lti`]; it is kept for `labwire lti test`, unless the address it came from goes too fast. The invitation stays good then: it is used
    /// up when the platform took us, or after [`INVITATION_TRIES_MAX`] tries.
    pub async fn lti_register(&self, params: &Params, from: IpAddr) -> Result<CameByInvitation, AppError> {
        self.registration_pace.step_from(from, self.now()).map_err(|until| {
            Fault::RegisterPace.because(format!(
                "more than {REGISTRATIONS_A_MINUTE} registrations of one address in a minute; again at {until}"
            ))
        })?;
        let (mut whose, mut asked) = (Whose::default(), String::new());
        let came = self.register(params, &mut whose, &mut asked).await;
        let noted = self.noted(Version::V1p3, whose, came).await;
        noted.map_err(|error| self.for_outside(error, &asked))
    }

    /// What a stranger is told of why `asked` is not reached. Of hosts that are asked although they are in a private network it is only that:
    /// which of their ports are open is nobody's business who holds an invitation.
    fn for_outside(&self, error: AppError, asked: &str) -> AppError {
        let AppError::Lti(refusal) = error else {
            return error;
        };
        let fault = match refusal.fault {
            Fault::RegisterClosed | Fault::RegisterTls | Fault::RegisterSlow
                if is_host_of(asked, &self.settings.private_hosts) =>
            {
                Fault::RegisterUnreachable
            }
            fault => fault.outside(),
        };
        LtiRefusal { fault, ..refusal }.into()
    }

    /// `asked` becomes the address that was asked last.
    async fn register(
        &self,
        params: &Params,
        whose: &mut Whose,
        asked: &mut String,
    ) -> Result<CameByInvitation, AppError> {
        let unknown = || Fault::RegisterInvitation.because("the invitation is not known, has expired, or was used");
        let secret = TokenHash::of(params.filled("invitation").unwrap_or_default());
        let invitation = match self.ports.store.lti_invitation_try(secret, self.now()).await? {
            Tried::Good(invitation) => invitation,
            Tried::Unknown => return Err(unknown().into()),
            Tried::Spent => {
                return Err(Fault::RegisterTries
                    .because(format!(
                        "{INVITATION_TRIES_MAX} tries were made by it; `labwire lti invite` makes another one"
                    ))
                    .into());
            }
        };
        whose.registration = Some(invitation.id.clone());
        let url = params.filled("openid_configuration").unwrap_or_default();
        let hosts = &self.settings.private_hosts;
        if !may_be_asked(url, hosts) {
            return Err(Fault::RegisterAddress
                .because(format!(
                    "openid_configuration is {:?}; an https address is needed",
                    place(url)
                ))
                .into());
        }
        url.clone_into(asked);
        let answer = self
            .ask_platform(&PlatformRequest::get(url, "application/json"))
            .await?;
        if answer.status != 200 {
            return Err(Fault::RegisterStatus
                .because(format!("{} answers {}, not 200", place(url), answer.status))
                .into());
        }
        let configuration = read_configuration(&answer.body, url, hosts)?;
        configuration.registration_url.clone_into(asked);
        let kind = self
            .tell_platform(&configuration, params.filled("registration_token"))
            .await?;
        let waiting = Waiting {
            at: self.now(),
            product: configuration.product.clone(),
            kind,
        };
        if !self.ports.store.lti_invitation_answer(secret, &waiting).await? {
            return Err(unknown().into());
        }
        tracing::warn!(registration = %invitation.id, issuer = configuration.issuer, "a platform registered itself and waits for a yes");
        Ok(CameByInvitation {
            issuer: configuration.issuer,
            product: configuration.product,
        })
    }

    /// Sends what we are, and reads what we are called there.
    async fn tell_platform(&self, to: &Configuration, token: Option<&str>) -> Result<Kind, AppError> {
        let body = tool_registration(&self.settings.public_url, to).to_string();
        let mut request = PlatformRequest::post(&to.registration_url, "application/json", body)
            .header("accept", "application/json".to_owned());
        if let Some(token) = token {
            // it becomes a header
            if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Fault::RegisterAddress.because("registration_token is no token").into());
            }
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = self.ask_platform(&request).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(Fault::RegisterRefused
                .because(format!("{} answers {}", place(&to.registration_url), answer.status))
                .into());
        }
        Ok(read_registered(&answer.body, to)?)
    }

    async fn ask_platform(&self, request: &PlatformRequest) -> Result<PlatformAnswer, LtiRefusal> {
        let answer = self.ports.platform.send(request).await;
        answer.map_err(|e| unreached(&e).because(e.explained()))
    }
}

fn unreached(error: &PlatformError) -> Fault {
    match error {
        PlatformError::Private { .. } => Fault::RegisterPrivate,
        PlatformError::Address { .. } => Fault::RegisterAddress,
        PlatformError::Answer { .. } => Fault::RegisterNotJson,
        PlatformError::Unavailable { why, .. } => match why {
            Unreached::Name => Fault::RegisterName,
            Unreached::Refused => Fault::RegisterClosed,
            Unreached::Tls => Fault::RegisterTls,
            Unreached::Slow => Fault::RegisterSlow,
            Unreached::Other => Fault::RegisterUnreachable,
        },
    }
}
