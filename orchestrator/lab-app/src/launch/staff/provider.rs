//! The provider, as far as we ask it something: its addresses and keys, kept for a while.

use super::{CALLBACK_PATH, StaffSettings};
use crate::{Ports, Settings};
use lab_core::{
    Timestamp,
    launch::staff::{StaffFault, StaffRefusal},
    port::{Platform, PlatformError, PlatformRequest},
};
use openidconnect::{
    AdditionalClaims, AuthType, ClientId, ClientSecret, DiscoveryError, EmptyExtraTokenFields, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, RedirectUrl,
    StandardErrorResponse, StandardTokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
    http::{Method, header},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Addresses and keys of a provider change a few times a year, and a key that is not known is asked for at once.
const KEEP: Duration = Duration::from_mins(10);
/// Whatever happens, the provider is not asked again sooner: anybody can begin a sign-in.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Whatever a provider says of a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(flatten)]
    pub all: serde_json::Map<String, serde_json::Value>,
}

impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

pub(super) type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

pub(super) type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Read = Result<Arc<CoreProviderMetadata>, StaffRefusal>;

/// See the module's doc. The lock is held to copy, never while the provider is asked.
#[derive(Default)]
pub(crate) struct Provider {
    last: Mutex<Option<(Timestamp, Read)>>,
}

impl Provider {
    /// A client of the provider, from what is kept or by asking.
    pub(super) async fn client(
        &self,
        ports: &Ports,
        ours: &Settings,
        staff: &StaffSettings,
    ) -> Result<Client, StaffRefusal> {
        client_of(&*self.metadata(ports, ours, staff, KEEP).await?, ours, staff)
    }

    /// The same from new keys: a token was signed with one that is not among those kept.
    pub(super) async fn client_anew(
        &self,
        ports: &Ports,
        ours: &Settings,
        staff: &StaffSettings,
    ) -> Result<Client, StaffRefusal> {
        client_of(&*self.metadata(ports, ours, staff, ASK_AGAIN_AFTER).await?, ours, staff)
    }

    async fn metadata(&self, ports: &Ports, ours: &Settings, staff: &StaffSettings, keep: Duration) -> Read {
        let now = ports.clock.now();
        let last = self.last.lock().expect("no holder panics").clone();
        if let Some((at, read)) = last {
            let keep = if read.is_ok() { keep } else { ASK_AGAIN_AFTER };
            if now < at.plus(keep) {
                return read;
            }
        }
        let read = discover(ports, ours, staff).await.map(Arc::new);
        *self.last.lock().expect("no holder panics") = Some((now, read.clone()));
        read
    }
}

async fn discover(ports: &Ports, ours: &Settings, staff: &StaffSettings) -> Result<CoreProviderMetadata, StaffRefusal> {
    let wrong = |e: &dyn std::fmt::Display| StaffFault::ProviderWrong.because(format!("{}: {e}", staff.issuer));
    let issuer = IssuerUrl::new(staff.issuer.clone()).map_err(|e| wrong(&e))?;
    let safe = |url: &openidconnect::url::Url| {
        let private = url
            .host_str()
            .is_some_and(|h| ours.private_hosts.iter().any(|p| p == h));
        url.scheme() == "https" || (url.scheme() == "http" && private)
    };
    // what is read there says where everything else is
    if !safe(issuer.url()) {
        return Err(wrong(&"it is not https"));
    }
    let ask = http(ports.platform.clone());
    let read = CoreProviderMetadata::discover_async(issuer, &ask)
        .await
        .map_err(|e| match e {
            DiscoveryError::Request(e) => StaffFault::ProviderUnreachable.because(e.to_string()),
            DiscoveryError::Response(status, _, _) if status.is_server_error() => {
                StaffFault::ProviderUnreachable.because(format!("{} answers {status}", staff.issuer))
            }
            DiscoveryError::Response(status, _, _) => wrong(&format!("its configuration answers {status}")),
            other => wrong(&other),
        })?;
    let addresses = [
        Some(read.authorization_endpoint().url()),
        read.token_endpoint().map(openidconnect::TokenUrl::url),
        read.userinfo_endpoint().map(openidconnect::UserInfoUrl::url),
        Some(read.jwks_uri().url()),
    ];
    for url in addresses.into_iter().flatten() {
        if !safe(url) {
            return Err(wrong(&format!("{url} is not https")));
        }
    }
    Ok(read)
}

fn client_of(metadata: &CoreProviderMetadata, ours: &Settings, staff: &StaffSettings) -> Result<Client, StaffRefusal> {
    let secret = staff
        .client_secret
        .as_ref()
        .map(|s| ClientSecret::new(s.expose_secret().to_owned()));
    let redirect = RedirectUrl::new(format!("{}{CALLBACK_PATH}", ours.public_url))
        .map_err(|e| StaffFault::ProviderWrong.because(format!("the setting public_url: {e}")))?;
    let client = Client::from_provider_metadata(metadata.clone(), ClientId::new(staff.client_id.clone()), secret);
    // what every provider takes, unless this one says otherwise
    let auth = match metadata.token_endpoint_auth_methods_supported() {
        Some(known)
            if known.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !known.contains(&CoreClientAuthMethod::ClientSecretBasic) =>
        {
            AuthType::RequestBody
        }
        _ => AuthType::BasicAuth,
    };
    Ok(client.set_redirect_uri(redirect).set_auth_type(auth))
}

/// `openidconnect`'s requests, sent by the port.
pub(super) fn http(
    platform: Arc<dyn Platform>,
) -> impl Fn(HttpRequest) -> futures_util::future::BoxFuture<'static, Result<HttpResponse, PlatformError>> + Send + Sync
{
    move |request| {
        let platform = platform.clone();
        Box::pin(async move { send(platform.as_ref(), request).await })
    }
}

async fn send(platform: &dyn Platform, request: HttpRequest) -> Result<HttpResponse, PlatformError> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    let strange = || PlatformError::Address {
        url: url.split('?').next().unwrap_or_default().to_owned(),
    };
    let body = String::from_utf8(body).map_err(|_| strange())?;
    let mut out = PlatformRequest {
        method: if parts.method == Method::POST { "POST" } else { "GET" },
        url: url.clone(),
        headers: Vec::new(),
        body,
    };
    for (name, known) in [
        (header::ACCEPT, "accept"),
        (header::CONTENT_TYPE, "content-type"),
        (header::AUTHORIZATION, "authorization"),
    ] {
        if let Some(value) = parts.headers.get(&name).and_then(|v| v.to_str().ok()) {
            out = out.header(known, value.to_owned());
        }
    }
    let answer = platform.send(&out).await?;
    let mut response = HttpResponse::new(answer.body.into_bytes());
    *response.status_mut() = answer.status.try_into().map_err(|_| strange())?;
    Ok(response)
}
