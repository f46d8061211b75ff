//! JSON web tokens of a test's platform, with ring: not the library that Labwire itself uses.

use anyhow::{Context, Result, bail};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};

#[path = "../../orchestrator/lab-http/tests/http/lti/keys.rs"]
#[allow(dead_code, reason = "there are two, and one is used")]
mod keys;

/// A throw-away key pair.
pub struct Pair {
    private: &'static str,
    modulus: &'static str,
}

impl Pair {
    pub fn test() -> Self {
        let (private, modulus) = keys::FIRST;
        Self { private, modulus }
    }
}

/// The set that a platform publishes, without what it need not say.
pub fn set(kid: &str, pair: &Pair) -> Value {
    json!({"keys": [{"kty": "RSA", "kid": kid, "n": pair.modulus, "e": "AQAB"}]})
}

/// Claims, signed by RS256.
pub fn sign(pair: &Pair, kid: &str, claims: &Value) -> Result<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "RS256", "kid": kid})), part(claims));
    let key = RsaKeyPair::from_der(&STANDARD.decode(pair.private)?)
        .ok()
        .context("a key")?;
    let mut signature = vec![0; key.public().modulus_len()];
    let signed = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
    signed.ok().context("it cannot be signed")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a token whose signature is right by the key of a set that it names.
pub fn verified(token: &str, keys: &Value) -> Result<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        bail!("no token");
    };
    let read = |part: &str| -> Result<Value> { Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?) };
    let head = read(header)?;
    let all = keys["keys"].as_array().context("no set of keys")?;
    let key = all.iter().find(|k| k["kid"] == head["kid"] && head["kid"].is_string());
    let key = key.with_context(|| format!("no key is named {}", head["kid"]))?;
    let number =
        |name: &str| -> Result<Vec<u8>> { Ok(URL_SAFE_NO_PAD.decode(key[name].as_str().context("a number")?)?) };
    let public = RsaPublicKeyComponents {
        n: number("n")?,
        e: number("e")?,
    };
    let text = format!("{header}.{payload}");
    let right = public.verify(
        &RSA_PKCS1_2048_8192_SHA256,
        text.as_bytes(),
        &URL_SAFE_NO_PAD.decode(signature)?,
    );
    right.ok().context("the signature is wrong")?;
    read(payload)
}
