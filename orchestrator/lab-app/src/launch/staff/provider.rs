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
use tokio::{sync::OnceCell, time::timeout};

/// Addresses and keys of a provider change a few times a year, and a key that is not known is asked for at once.
const KEEP: Duration = Duration::from_mins(10);
/// A key that is not known is looked for this often at most, whoever sends tokens with invented keys.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A provider that did not answer, or answered wrongly, is left alone for so long, and everybody is told what the one who asked was told:
/// anybody can begin a sign-in, and one that is down comes back no sooner for being hammered. Who signs in again by hand takes about as long.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// Discovery is two requests, one after the other, each of which the port gives 10 s.
const DISCOVER_WITHIN: Duration = Duration::from_secs(20);
/// Whoever waits for another's discovery waits for it twice at most: who asked may have gone away at its last moment, and somebody begins anew.
const WAIT_MAX: Duration = Duration::from_secs(40);

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

/// One discovery. Whoever needs it while it is under way waits for the same one; where the one who asks goes away, the next goes on.
type Look = OnceCell<(Timestamp, Read)>;

/// See the module's doc. The lock is held to copy and to replace, never while the provider is asked.
#[derive(Default)]
pub(crate) struct Provider {
    look: Mutex<Arc<Look>>,
}

impl Provider {
    /// A client of the provider, from what is kept or by asking; one asks for all.
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
        let look = self.current(ports.clock.now(), keep);
        let ask = || async {
            let late = || StaffFault::ProviderUnreachable.because(format!("{} does not answer in time", staff.issuer));
            let read = timeout(DISCOVER_WITHIN, discover(ports, ours, staff)).await;
            let read = read.unwrap_or_else(|_| Err(late())).map(Arc::new);
            // when it answered: what took long is not old already
            (ports.clock.now(), read)
        };
        match timeout(WAIT_MAX, look.get_or_init(ask)).await {
            Ok((_, read)) => read.clone(),
            Err(_) => Err(StaffFault::ProviderUnreachable.because(format!("{} is still being asked", staff.issuer))),
        }
    }

    /// The discovery that counts now: one that is under way, or the last one, unless it is too old.
    fn current(&self, now: Timestamp, keep: Duration) -> Arc<Look> {
        let mut look = self.look.lock().expect("no holder panics");
        if let Some((at, read)) = look.get() {
            let keep = if read.is_ok() { keep } else { FAILURE_KEPT };
            if now >= at.plus(keep) {
                *look = Arc::default();
            }
        }
        Arc::clone(&look)
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
