//! Keys of launch links: the first signs, all verify, so that a key is retired without breaking links under way.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use lab_core::{
    Timestamp, TokenHash,
    entitlement::Code,
    launch::{LaunchClaims, LaunchRefusal},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// HS256 is as strong as its key: 32 bytes are the hash's own length.
pub const SECRET_BYTES_MIN: usize = 32;

/// Claims with the longest ids and name we accept are about 900 bytes, 1.2 KiB as base64; what is longer is not read.
pub const LINK_BYTES_MAX: usize = 4096;

/// Two machines' clocks may differ by so many seconds.
const LEEWAY_SECS: i64 = 30;

/// A key from the configuration.
#[derive(Clone, Debug)]
pub struct Key {
    /// The `kid` of links signed with it.
    pub id: String,
    pub secret: SecretString,
}

/// Why keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("no key is configured; links need at least one")]
    Empty,
    #[error(
        "key {id:?} has {bytes} bytes, and needs at least {SECRET_BYTES_MIN}; make one with `openssl rand -base64 48`"
    )]
    Short { id: String, bytes: usize },
    #[error("key id {id:?} is used twice; give each key its own id")]
    Twice { id: String },
}

/// Signs and verifies launch links.
pub struct Keyring {
    keys: Vec<Prepared>,
}

struct Prepared {
    id: String,
    sign: EncodingKey,
    verify: DecodingKey,
    /// Of vouchers' codes; made from the secret, and of no use for links.
    vouchers: [u8; 32],
    /// Of shops' order keys; the same.
    orders: [u8; 32],
    /// Of tickets to choose labs with; the same.
    choices: [u8; 32],
}

/// Says what [`Prepared::vouchers`] is for, as BLAKE3 wants it; a change makes every voucher worthless.
const VOUCHER_CONTEXT: &str = "labwire 2026-11-22 voucher codes";

/// Says what [`Prepared::orders`] is for; a change ends every order key.
const ORDER_CONTEXT: &str = "labwire 2026-11-28 order keys";

/// Says what [`Prepared::choices`] is for; a change ends the choices that are under way.
const CHOICE_CONTEXT: &str = "labwire 2026-11-27 choices by deep linking";

/// What is read of a token's header before anything is believed.
#[derive(Deserialize)]
struct Envelope {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

impl Keyring {
    /// Keys in order: the first signs.
    pub fn new(keys: &[Key]) -> Result<Self, KeyringError> {
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        let mut prepared: Vec<Prepared> = Vec::with_capacity(keys.len());
        for key in keys {
            let secret = key.secret.expose_secret().as_bytes();
            if secret.len() < SECRET_BYTES_MIN {
                return Err(KeyringError::Short {
                    id: key.id.clone(),
                    bytes: secret.len(),
                });
            }
            if prepared.iter().any(|p| p.id == key.id) {
                return Err(KeyringError::Twice { id: key.id.clone() });
            }
            prepared.push(Prepared {
                id: key.id.clone(),
                sign: EncodingKey::from_secret(secret),
                verify: DecodingKey::from_secret(secret),
                vouchers: blake3::derive_key(VOUCHER_CONTEXT, secret),
                orders: blake3::derive_key(ORDER_CONTEXT, secret),
                choices: blake3::derive_key(CHOICE_CONTEXT, secret),
            });
        }
        Ok(Self { keys: prepared })
    }

    /// A link's token, signed with the first key.
    ///
    /// # Panics
    /// Never: claims are plain JSON.
    pub fn sign(&self, claims: &LaunchClaims) -> String {
        let key = &self.keys[0];
        let header = Header {
            kid: Some(key.id.clone()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, claims, &key.sign).expect("claims are plain JSON and the key is an HMAC key")
    }

    /// A voucher's code as the store knows it, under each key; the first is the one that new vouchers are made with. Vouchers outlive links:
    /// a key that signs no more links must stay as long as vouchers of its time can be redeemed.
    pub fn voucher_hashes(&self, code: &Code) -> Vec<TokenHash> {
        let hash = |k: &Prepared| TokenHash(*blake3::keyed_hash(&k.vouchers, code.digits().as_bytes()).as_bytes());
        self.keys.iter().map(hash).collect()
    }

    /// A shop's order key as the store knows it, under each key; the first is the one that new ones are made with.
    pub fn order_hashes(&self, token: &str) -> Vec<TokenHash> {
        let hash = |k: &Prepared| TokenHash(*blake3::keyed_hash(&k.orders, token.as_bytes()).as_bytes());
        self.keys.iter().map(hash).collect()
    }

    /// A ticket to choose labs with, signed with the first key's own for that: no link is one, and no ticket is a link.
    ///
    /// # Panics
    /// Never: tickets are plain JSON.
    pub(crate) fn sign_choice<T: Serialize>(&self, ticket: &T) -> String {
        let key = EncodingKey::from_secret(&self.keys[0].choices);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), ticket, &key).expect("tickets are plain JSON")
    }

    /// A ticket of ours, under whichever key; its times are its reader's.
    pub(crate) fn verify_choice<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let read = |key: &Prepared| {
            let key = DecodingKey::from_secret(&key.choices);
            jsonwebtoken::decode::<T>(token, &key, &signature_only()).ok()
        };
        self.keys.iter().find_map(read).map(|read| read.claims)
    }

    /// Id of the key that new vouchers are made with.
    pub fn first_id(&self) -> &str {
        &self.keys[0].id
    }

    /// Verifies in this order, each failure with its own refusal: shape, key, signature, audience, expiry.
    pub fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<LaunchClaims, LaunchRefusal> {
        let envelope = envelope(token)?;
        // only what we sign with is looked at: "none", HS512 or RS256 with our secret as the key are forgeries
        if envelope.alg != "HS256" {
            return Err(LaunchRefusal::Forged);
        }
        let kid = envelope.kid.ok_or(LaunchRefusal::UnknownKey)?;
        let key = self
            .keys
            .iter()
            .find(|k| k.id == kid)
            .ok_or(LaunchRefusal::UnknownKey)?;
        let claims = jsonwebtoken::decode::<LaunchClaims>(token, &key.verify, &signature_only()).map_err(|e| {
            use jsonwebtoken::errors::ErrorKind;
            match e.kind() {
                // signed by us, with claims of another program
                ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::MissingRequiredClaim(_) => {
                    LaunchRefusal::Malformed
                }
                _ => LaunchRefusal::Forged,
            }
        })?;
        let claims = claims.claims;
        if claims.aud != audience {
            return Err(LaunchRefusal::ForeignAudience);
        }
        if now.secs() > claims.exp.saturating_add(LEEWAY_SECS) {
            return Err(LaunchRefusal::Expired);
        }
        if !claims.is_whole() {
            return Err(LaunchRefusal::Malformed);
        }
        Ok(claims)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|k| &k.id)).finish()
    }
}

/// Audience and expiry are checked by us, against the handed-in clock and in our order.
fn signature_only() -> Validation {
    let mut v = Validation::new(Algorithm::HS256);
    v.validate_exp = false;
    v.validate_aud = false;
    v.required_spec_claims.clear();
    v
}

/// Three base64url parts, the first of them a JSON header.
fn envelope(token: &str) -> Result<Envelope, LaunchRefusal> {
    if token.len() > LINK_BYTES_MAX {
        return Err(LaunchRefusal::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(LaunchRefusal::Malformed);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| LaunchRefusal::Malformed);
    decode(claims)?;
    serde_json::from_slice(&decode(header)?).map_err(|_| LaunchRefusal::Malformed)
}
