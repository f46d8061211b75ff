//! A sandbox's certificate and token: made once, never changed while its pod may run.

use super::error::ControllerError;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::digest::{SHA256, digest};

/// Everything secret of one sandbox.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub certificate_pem: String,
    pub key_pem: String,
    /// 64 lower-case hex characters.
    pub token: String,
    /// Hex SHA-256 of the token's characters.
    pub token_hash: String,
    /// Hex SHA-256 of the certificate (DER).
    pub certificate_sha256: String,
}

/// New ones. Nobody checks the certificate's dates or name, as the whole of it is pinned; so it has none that could run out under a running lab.
pub(crate) fn make(name: &str) -> Result<Keys, ControllerError> {
    let failed = |e: rcgen::Error| ControllerError::Keys(e.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new([name.to_owned()]).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "labwire sandbox");
    let certificate = params.self_signed(&key).map_err(failed)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|e| ControllerError::Keys(e.to_string()))?;
    let token = hex(&random);
    Ok(Keys {
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        token_hash: sha256(token.as_bytes()),
        certificate_sha256: sha256(certificate.der()),
        token,
    })
}

/// Hex SHA-256 of the certificate in a Secret; none when it holds none.
pub(crate) fn fingerprint(pem: &[u8]) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = std::str::from_utf8(pem).ok()?;
    let body = text
        .split_once("-----BEGIN CERTIFICATE-----")?
        .1
        .split_once("-----END CERTIFICATE-----")?
        .0;
    let base64: String = body.split_whitespace().collect();
    Some(sha256(&STANDARD.decode(base64).ok()?))
}

/// Hex SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_belong_together() {
        let (a, b) = (make("lsb-a").unwrap(), make("lsb-a").unwrap());
        assert_ne!(a.token, b.token);
        assert_ne!(a.certificate_sha256, b.certificate_sha256);
        assert_eq!(a.token.len(), 64);
        assert_eq!(a.token_hash, sha256(a.token.as_bytes()));
        assert_eq!(
            fingerprint(a.certificate_pem.as_bytes()).as_ref(),
            Some(&a.certificate_sha256)
        );
        assert!(a.key_pem.contains("PRIVATE KEY"));
    }

    #[test]
    fn a_hash_is_the_known_one() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(fingerprint(b"no certificate"), None);
    }
}
