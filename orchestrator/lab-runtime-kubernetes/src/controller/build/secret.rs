//! Two Secrets: what goes into the pod, and what opens it from outside. Neither holds the other's half.

use super::{super::keys::Keys, Wanted};
use crate::api::{SECRET_CERTIFICATE, SECRET_KEY, SECRET_SPEC, SECRET_TOKEN, SECRET_TOKEN_HASH, client_secret_name};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use std::collections::BTreeMap;

/// Mounted by the init container: certificate, private key, the token's hash, the agent's spec.
pub(crate) fn mounted_secret(wanted: &Wanted<'_>, keys: &Keys) -> Secret {
    let data = [
        (SECRET_CERTIFICATE, keys.certificate_pem.as_str()),
        (SECRET_KEY, keys.key_pem.as_str()),
        (SECRET_TOKEN_HASH, keys.token_hash.as_str()),
        (SECRET_SPEC, wanted.object.spec.agent.as_str()),
    ];
    secret(wanted, wanted.object.name_any(), data)
}

/// Read by `labwire serve` alone, and mounted nowhere: the token itself, and the certificate to expect.
pub(crate) fn client_secret(wanted: &Wanted<'_>, keys: &Keys) -> Secret {
    let data = [
        (SECRET_TOKEN, keys.token.as_str()),
        (SECRET_CERTIFICATE, keys.certificate_pem.as_str()),
    ];
    secret(wanted, client_secret_name(&wanted.object.name_any()), data)
}

fn secret<const N: usize>(wanted: &Wanted<'_>, name: String, data: [(&str, &str); N]) -> Secret {
    let data: BTreeMap<String, ByteString> = data
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    Secret {
        metadata: wanted.metadata(name),
        type_: Some("Opaque".into()),
        data: Some(data),
        ..Secret::default()
    }
}
