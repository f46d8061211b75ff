//! What the provider says of a person, checked.

use super::{
    StaffSettings,
    provider::{Claims, Client, Tokens, http},
};
use crate::{App, AppError};
use chrono::{DateTime, Utc};
use lab_core::{
    TokenHash,
    launch::staff::{StaffFault, StaffRefusal, groups_of},
};
use openidconnect::{
    ClaimsVerificationError, IdTokenClaims, Nonce, OAuth2TokenResponse, SignatureVerificationError, TokenResponse,
    UserInfoClaims, UserInfoError,
    core::{CoreGenderClaim, CoreJwsSigningAlgorithm},
};

/// Two machines' clocks may differ by so many seconds.
const LEEWAY_SECS: i64 = 60;

/// Signatures by the provider's own key. Not `none`; and not by the client's secret, which says nothing about who signed to whoever
/// reads our settings.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Somebody whom the provider knows.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub sub: String,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

type Verified = IdTokenClaims<Claims, CoreGenderClaim>;

impl App {
    /// Who the token is of. Where it does not tell groups, the provider's userinfo is asked.
    pub(super) async fn staff_person(
        &self,
        settings: &StaffSettings,
        client: &Client,
        tokens: &Tokens,
        nonce: TokenHash,
    ) -> Result<Person, AppError> {
        let claims = match self.checked(client, tokens, nonce) {
            Err(e) if unknown_key(&e) => {
                let anew = self.provider.client_anew(&self.ports, &self.settings, settings).await?;
                self.checked(&anew, tokens, nonce)
            }
            checked => checked,
        };
        let claims = claims.map_err(|e| refusal(&e))?;
        let mut person = Person {
            sub: claims.subject().to_string(),
            name: name(claims.name(), claims.preferred_username()),
            groups: Vec::new(),
        };
        if let Some(groups) = groups_of(&claims.additional_claims().all, &settings.groups_claim) {
            person.groups = groups;
        } else if let Some(told) = self.userinfo(client, tokens, &claims).await? {
            person.groups = groups_of(&told.additional_claims().all, &settings.groups_claim).unwrap_or_default();
            person.name = person.name.or_else(|| name(told.name(), told.preferred_username()));
        }
        Ok(person)
    }

    fn checked(&self, client: &Client, tokens: &Tokens, nonce: TokenHash) -> Result<Verified, ClaimsVerificationError> {
        let token = tokens
            .id_token()
            .ok_or_else(|| ClaimsVerificationError::Other(NO_TOKEN.to_owned()))?;
        let time = |secs: i64| DateTime::<Utc>::from_timestamp(secs, 0).unwrap_or_default();
        let (early, late) = (
            time(self.now().secs() - LEEWAY_SECS),
            time(self.now().secs() + LEEWAY_SECS),
        );
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || early)
            .set_issue_time_verifier_fn(move |issued| {
                if issued <= late {
                    Ok(())
                } else {
                    Err("it is of the future".into())
                }
            });
        let of_this_sign_in = |told: Option<&Nonce>| match told {
            Some(told) if TokenHash::of(told.secret()) == nonce => Ok(()),
            Some(_) => Err("another one".to_owned()),
            None => Err("none".to_owned()),
        };
        token.claims(&verifier, of_this_sign_in).cloned()
    }

    async fn userinfo(
        &self,
        client: &Client,
        tokens: &Tokens,
        claims: &Verified,
    ) -> Result<Option<UserInfoClaims<Claims, CoreGenderClaim>>, AppError> {
        let Ok(request) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())) else {
            // the provider has no such address: then nobody told of groups
            return Ok(None);
        };
        let ask = http(self.ports.platform.clone());
        let told = request.request_async(&ask).await.map_err(|e| match e {
            UserInfoError::Request(e) => StaffFault::ProviderUnreachable.because(e.to_string()),
            UserInfoError::Response(status, ..) => {
                StaffFault::AnswerUnreadable.because(format!("its userinfo answers {status}"))
            }
            UserInfoError::ClaimsVerification(e) => refusal(&e),
            other => StaffFault::AnswerUnreadable.because(format!("its userinfo: {other}")),
        })?;
        Ok(Some(told))
    }
}

const NO_TOKEN: &str = "there is no id_token";

fn unknown_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError as S;
    matches!(
        error,
        ClaimsVerificationError::SignatureVerification(S::NoMatchingKey | S::CryptoError(_) | S::AmbiguousKeyId(_))
    )
}

/// What is said by the library may quote the token: only its kind is told on.
fn refusal(error: &ClaimsVerificationError) -> StaffRefusal {
    use {ClaimsVerificationError as E, SignatureVerificationError as S};
    match error {
        E::Expired(_) => StaffFault::Expired.because("exp or iat of the id_token"),
        E::InvalidAudience(_) => StaffFault::Audience.because("aud of the id_token is not our client id alone"),
        E::InvalidIssuer(_) => StaffFault::Issuer.because("iss of the id_token is not the configured issuer"),
        E::InvalidNonce(_) => StaffFault::Nonce.because("nonce of the id_token"),
        E::InvalidSubject(_) => StaffFault::Claims.because("userinfo is of somebody else"),
        E::SignatureVerification(S::DisallowedAlg(_) | S::UnsupportedAlg(_) | S::NoSignature) | E::Unsupported(_) => {
            StaffFault::Algorithm.because("the id_token is not signed with a key of the provider")
        }
        E::SignatureVerification(_) => StaffFault::Signature.because("signature of the id_token"),
        E::Other(text) if text == NO_TOKEN => StaffFault::TokenMissing.because(NO_TOKEN),
        _ => StaffFault::Claims.because("claims of the id_token"),
    }
}

fn name(
    full: Option<&openidconnect::LocalizedClaim<openidconnect::EndUserName>>,
    short: Option<&openidconnect::EndUserUsername>,
) -> Option<String> {
    let full = full.and_then(|n| n.get(None)).map(|n| n.to_string());
    full.or_else(|| short.map(|n| n.to_string()))
        .filter(|n| !n.trim().is_empty())
}
