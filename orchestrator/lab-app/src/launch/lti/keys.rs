//! Our own key pairs: what platforms verify our requests with.

use crate::{App, AppError, Ports, launch::mint};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lab_core::{
    Timestamp,
    launch::lti::LtiKey,
    port::{Clock, Entropy, Store},
};
use rsa::{
    RsaPrivateKey,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey},
    rand_core::{self, CryptoRng, RngCore},
    traits::PublicKeyParts,
};
use std::{sync::Arc, time::Duration};

/// A key that was replaced is published so much longer: platforms keep what they fetched for a day or so.
pub const KEY_PUBLISHED_AFTER: Duration = Duration::from_hours(7 * 24);

/// The least that RS256 may be used with, and what every platform takes.
const BITS: usize = 2048;

/// One of our keys as platforms see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// Modulus and exponent, base64url.
    pub n: String,
    pub e: String,
    /// The one that signs.
    pub current: bool,
    pub created_at: Timestamp,
    /// Published until then.
    pub retire_at: Option<Timestamp>,
}

/// Our key pairs, over the ports that they need: the command line has no others.
pub struct OurKeys {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl App {
    /// Our public keys, the one that signs first; made when there is none yet.
    pub async fn lti_public_keys(&self) -> Result<Vec<PublicKey>, AppError> {
        OurKeys::of(&self.ports).list().await
    }
}

impl OurKeys {
    pub(crate) fn of(ports: &Ports) -> Self {
        Self {
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
        }
    }

    /// Claims as a token, signed by the key that signs now; made when there is none yet.
    pub(crate) async fn sign(&self, claims: &serde_json::Value) -> Result<String, AppError> {
        let newest = async || Ok::<_, AppError>(self.store.lti_key_list(self.clock.now()).await?.into_iter().next());
        let mut key = newest().await?;
        if key.is_none() {
            self.rotate(None).await?;
            key = newest().await?;
        }
        let key = key.ok_or_else(|| super::broken("there is no key to sign with"))?;
        let der = STANDARD_NO_PAD
            .decode(&key.private)
            .map_err(|_| super::broken("a stored key cannot be read"))?;
        let header = Header {
            kid: Some(key.kid),
            ..Header::new(Algorithm::RS256)
        };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_der(&der))
            .map_err(|_| super::broken("a token could not be signed"))
    }

    /// See [`App::lti_public_keys`].
    pub async fn list(&self) -> Result<Vec<PublicKey>, AppError> {
        let mut keys = self.store.lti_key_list(self.clock.now()).await?;
        if keys.is_empty() {
            // another process may do the same: whichever key is there then is everybody's
            self.rotate(None).await?;
            keys = self.store.lti_key_list(self.clock.now()).await?;
        }
        keys.into_iter()
            .enumerate()
            .map(|(n, key)| {
                let private = private(&key)?;
                Ok(PublicKey {
                    kid: key.kid.clone(),
                    n: URL_SAFE_NO_PAD.encode(private.n().to_bytes_be()),
                    e: URL_SAFE_NO_PAD.encode(private.e().to_bytes_be()),
                    current: n == 0,
                    created_at: key.created_at,
                    retire_at: key.retire_at,
                })
            })
            .collect()
    }

    /// A new key that signs from now on; those before are published for [`KEY_PUBLISHED_AFTER`] more. `after` is the key it replaces,
    /// so that two who rotate at once make one.
    pub async fn rotate(&self, after: Option<&str>) -> Result<bool, AppError> {
        let entropy = Arc::clone(&self.entropy);
        // a tenth of a second of arithmetic: not on a thread that serves others
        let made = tokio::task::spawn_blocking(move || generate(entropy.as_ref())).await;
        let private = made.map_err(|_| super::broken("no key could be made"))??;
        let now = self.clock.now();
        let key = LtiKey {
            kid: mint::uuid7(self.clock.as_ref(), self.entropy.as_ref()).to_string(),
            private,
            created_at: now,
            retire_at: None,
        };
        Ok(self
            .store
            .lti_key_add(&key, after, now.plus(KEY_PUBLISHED_AFTER))
            .await?)
    }
}

fn generate(entropy: &dyn Entropy) -> Result<String, AppError> {
    let key = RsaPrivateKey::new(&mut FromEntropy(entropy), BITS).map_err(|_| super::broken("no key could be made"))?;
    let der = key
        .to_pkcs1_der()
        .map_err(|_| super::broken("a key could not be written"))?;
    Ok(STANDARD_NO_PAD.encode(der.as_bytes()))
}

fn private(key: &LtiKey) -> Result<RsaPrivateKey, AppError> {
    let der = STANDARD_NO_PAD.decode(&key.private).ok();
    let read = der.and_then(|der| RsaPrivateKey::from_pkcs1_der(&der).ok());
    read.ok_or_else(|| super::broken("a stored key cannot be read"))
}

/// The port's randomness, as `rsa` asks for it.
struct FromEntropy<'a>(&'a dyn Entropy);

impl RngCore for FromEntropy<'_> {
    fn next_u32(&mut self) -> u32 {
        let bytes = self.0.bytes32();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }
    fn fill_bytes(&mut self, all: &mut [u8]) {
        for part in all.chunks_mut(32) {
            part.copy_from_slice(&self.0.bytes32()[..part.len()]);
        }
    }
    fn try_fill_bytes(&mut self, all: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(all);
        Ok(())
    }
}

impl CryptoRng for FromEntropy<'_> {}
