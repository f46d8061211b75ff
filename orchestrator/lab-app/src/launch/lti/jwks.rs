//! Platforms' public keys: fetched when needed, kept for an hour, asked for again when a key is new.

use crate::Ports;
use jsonwebtoken::DecodingKey;
use lab_core::{
    Timestamp,
    launch::lti::{Fault, Jwks, LtiRefusal},
    port::{Platform, PlatformError, PlatformRequest},
};
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::OnceCell;

/// A key that a platform takes back is believed so long.
const FRESH: Duration = Duration::from_hours(1);
/// A key that is not known is looked for this often at most, whoever sends tokens with invented keys.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// … and a platform that did not answer is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// Keys in one set: platforms publish one to five.
const KEYS_MAX: usize = 50;
/// An RSA modulus of 2048 bits is 256 bytes, 342 base64url digits; a shorter one can be broken.
const MODULUS_CHARS_MIN: usize = 342;

/// Where keys are that nobody fetches.
pub(super) const REGISTERED: &str = "the registered keys";

#[derive(Deserialize)]
struct Set {
    keys: Vec<Entry>,
}

/// Neither `alg` nor `use` must be there: Open edX sends neither.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

pub(super) type Keys = HashMap<String, DecodingKey>;

/// Reads a set, of which `place` says where it is; entries that cannot verify RS256 are left out.
pub(super) fn parse(text: &str, place: &str) -> Result<Keys, LtiRefusal> {
    let set: Set = serde_json::from_str(text)
        .map_err(|_| Fault::KeysUnreadable.because(format!("{place}: it is not a set of keys (JSON with `keys`)")))?;
    let usable = |k: &&Entry| {
        k.kty == "RSA" && k.usage.as_deref() != Some("enc") && !k.kid.is_empty() && k.n.len() >= MODULUS_CHARS_MIN
    };
    let keys = set.keys.iter().filter(usable).take(KEYS_MAX).filter_map(|k| {
        let key = DecodingKey::from_rsa_components(&k.n, &k.e).ok()?;
        Some((k.kid.clone(), key))
    });
    Ok(keys.collect())
}

/// One look at a platform's keys. Whoever wants them while it is under way waits for the same one.
struct Look {
    at: Timestamp,
    found: OnceCell<Result<Keys, LtiRefusal>>,
    /// The last look that found something: what is believed while the platform does not answer.
    before: Option<Arc<Look>>,
}

/// Keys of all platforms, by the address of their set.
#[derive(Default)]
pub(crate) struct PlatformKeys {
    /// As many as there are addresses in registrations; locked to look and to replace, never while a platform is asked.
    looks: Mutex<HashMap<String, Arc<Look>>>,
}

impl PlatformKeys {
    /// Step 3: the key of that name.
    pub async fn key(&self, ports: &Ports, jwks: &Jwks, kid: &str) -> Result<DecodingKey, LtiRefusal> {
        let url = match jwks {
            Jwks::Static(text) => {
                let keys = parse(text, REGISTERED)?;
                return keys.get(kid).cloned().ok_or_else(|| unknown(kid, REGISTERED));
            }
            Jwks::Url(url) => url,
        };
        let look = self.current(url, ports.clock.now());
        let mut answer = look.key(ports, url, kid).await;
        if !matches!(answer, Ok(Some(_)))
            && let Some(newer) = self.newer(url, &look, ports.clock.now(), answer.is_err())
        {
            answer = newer.key(ports, url, kid).await;
        }
        answer?.ok_or_else(|| unknown(kid, url))
    }

    /// The look that counts now: the last one, unless it is too old.
    fn current(&self, url: &str, now: Timestamp) -> Arc<Look> {
        let mut looks = self.looks.lock().expect("no holder panics");
        if let Some(look) = looks.get(url).filter(|l| now.since(l.at) < FRESH) {
            return Arc::clone(look);
        }
        let before = looks.get(url).and_then(Look::good);
        let look = Look::begin(now, before);
        looks.insert(url.to_owned(), Arc::clone(&look));
        look
    }

    /// A further look, where `last` was long enough ago; another caller's, where there is one by now.
    fn newer(&self, url: &str, last: &Arc<Look>, now: Timestamp, failed: bool) -> Option<Arc<Look>> {
        let mut looks = self.looks.lock().expect("no holder panics");
        let current = looks.get(url)?;
        if !Arc::ptr_eq(current, last) {
            return Some(Arc::clone(current));
        }
        if now.since(last.at) < if failed { RETRY } else { LOOK_AGAIN } {
            return None;
        }
        let look = Look::begin(now, Look::good(current));
        looks.insert(url.to_owned(), Arc::clone(&look));
        Some(look)
    }
}

impl Look {
    fn begin(at: Timestamp, before: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            at,
            found: OnceCell::new(),
            before,
        })
    }

    /// This look if it found something, or the one before that did: never a chain of more than two.
    fn good(self: &Arc<Self>) -> Option<Arc<Self>> {
        match self.found.get() {
            Some(Ok(_)) => Some(Arc::new(Self {
                at: self.at,
                found: self.found.clone(),
                before: None,
            })),
            _ => self.before.clone(),
        }
    }

    async fn key(&self, ports: &Ports, url: &str, kid: &str) -> Result<Option<DecodingKey>, LtiRefusal> {
        match self.found.get_or_init(|| fetch(ports.platform.as_ref(), url)).await {
            Ok(keys) => Ok(keys.get(kid).cloned()),
            Err(why) => {
                let known = self
                    .before
                    .as_ref()
                    .and_then(|b| b.found.get())
                    .and_then(|f| f.as_ref().ok());
                match known.and_then(|keys| keys.get(kid)) {
                    Some(key) => Ok(Some(key.clone())),
                    None => Err(why.clone()),
                }
            }
        }
    }
}

/// Asks for a set of keys, or says why there is none.
pub(super) async fn fetch(platform: &dyn Platform, url: &str) -> Result<Keys, LtiRefusal> {
    let answer = platform.send(&PlatformRequest::get(url, "application/json")).await;
    let answer = answer.map_err(|e| {
        tracing::warn!(
            error = &e as &dyn std::error::Error,
            code = e.code(),
            "a platform's keys cannot be read"
        );
        let fault = match e {
            PlatformError::Private { .. } => Fault::KeysPrivate,
            PlatformError::Answer { .. } => Fault::KeysUnreadable,
            PlatformError::Unavailable { .. } | PlatformError::Address { .. } => Fault::KeysUnreachable,
        };
        fault.because(e.explained())
    })?;
    if answer.status != 200 {
        return Err(Fault::KeysStatus.because(format!("{url} answers {}, not 200", answer.status)));
    }
    parse(&answer.body, url)
}

fn unknown(kid: &str, place: &str) -> LtiRefusal {
    Fault::KeyUnknown.because(format!("kid {kid:?} is not in {place}"))
}
