//! Steps 2 to 4 of an `id_token`: what it is signed with, and whether the signature is right.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use lab_core::launch::lti::{Fault, LtiRefusal};
use serde::Deserialize;
use serde_json::Value;

/// What is read of a token before anything is believed.
#[derive(Debug)]
pub(super) struct Envelope {
    pub kid: String,
}

#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    kid: Option<String>,
}

/// Step 2: three parts, RS256 and nothing else, and a key's name. What a token says of its algorithm is compared, never followed:
/// `none` would need no key, and HS256 would take a public key for a secret.
pub(super) fn envelope(token: &str) -> Result<Envelope, LtiRefusal> {
    let malformed = |why: &str| Fault::TokenMalformed.because(why);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, _, _] = parts.as_slice() else {
        return Err(malformed("the id_token has not three parts"));
    };
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| malformed("the id_token's header is not base64url"))?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| malformed("the id_token's header is not JSON"))?;
    if header.alg.as_deref() != Some("RS256") {
        return Err(Fault::Algorithm.because(format!("alg is {:?}, not \"RS256\"", header.alg)));
    }
    let kid = header.kid.filter(|k| !k.is_empty());
    let kid = kid.ok_or_else(|| Fault::KeyIdMissing.because("the id_token's header has no kid"))?;
    Ok(Envelope { kid })
}

/// Step 4. Times and audience are the rules' own, in their order, against the handed-in clock.
pub(super) fn verify(token: &str, key: &DecodingKey) -> Result<Value, LtiRefusal> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Value>(token, key, &validation).map_err(|e| {
        use jsonwebtoken::errors::ErrorKind;
        match e.kind() {
            ErrorKind::Json(_) | ErrorKind::Utf8(_) => Fault::Claims.because("the token's payload is not JSON"),
            _ => Fault::Signature.because("the signature is not that of the platform's key"),
        }
    })?;
    Ok(decoded.claims)
}
