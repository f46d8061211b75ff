//! What opens an agent: its certificate and its token, read once for each sandbox.

use super::{error::within, index::Seen};
use crate::api::{SECRET_CERTIFICATE, SECRET_TOKEN, client_secret_name, object_name};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use lab_core::{
    SandboxId,
    port::{RuntimeError, SandboxStatus},
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

/// How one sandbox's agent is talked to.
#[derive(Clone)]
pub(crate) struct Door {
    /// Of the object whose Secret this was.
    uid: String,
    pub tls: Arc<ClientConfig>,
    /// The token and a newline, as they are sent.
    pub token: Arc<[u8]>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// The doors that were opened: at most one for each sandbox of the list, about 2 KiB each.
pub(crate) struct Keys {
    secrets: Api<Secret>,
    doors: Mutex<HashMap<SandboxId, Door>>,
}

impl Keys {
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            doors: Mutex::default(),
        }
    }

    fn doors(&self) -> MutexGuard<'_, HashMap<SandboxId, Door>> {
        self.doors.lock().expect("no holder panics")
    }

    /// The door of a sandbox.
    pub async fn of(&self, id: SandboxId, seen: &Seen) -> Result<Door, RuntimeError> {
        let known = self.doors().get(&id).filter(|d| d.uid == seen.uid).cloned();
        if let Some(door) = known {
            return Ok(door);
        }
        let name = client_secret_name(&object_name(id));
        let secret = within("get secret", self.secrets.get_opt(&name)).await?;
        let bad = |what: String| RuntimeError::AgentUnreachable {
            id,
            source: format!("Secret {name} {what}").into(),
        };
        let secret = secret.ok_or_else(|| bad("is not there".into()))?;
        let door = read(&secret, seen).map_err(bad)?;
        self.doors().insert(id, door.clone());
        Ok(door)
    }

    /// The sandbox is dropped.
    pub fn forget(&self, id: SandboxId) {
        self.doors().remove(&id);
    }

    /// Forgets what is not there any more.
    pub fn keep_only(&self, list: &[SandboxStatus]) {
        let mut doors = self.doors();
        if doors.len() > list.len() {
            let there: HashSet<SandboxId> = list.iter().map(|s| s.id).collect();
            doors.retain(|id, _| there.contains(id));
        }
    }
}

/// Certificate and token of a Secret; in words what is wrong with them.
fn read(secret: &Secret, seen: &Seen) -> Result<Door, String> {
    let value = |key: &str| {
        let found = secret.data.as_ref().and_then(|d| d.get(key));
        found.map(|v| v.0.as_slice()).ok_or_else(|| format!("has no {key}"))
    };
    let certificate = CertificateDer::from_pem_slice(value(SECRET_CERTIFICATE)?)
        .map_err(|e| format!("has no certificate in {SECRET_CERTIFICATE}: {e}"))?;
    let hash = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    if seen.certificate.as_ref().is_some_and(|told| *told != hash) {
        return Err("is not the one whose certificate the sandbox's status names".into());
    }
    let token = value(SECRET_TOKEN)?.trim_ascii();
    if token.len() != 64 || !token.iter().all(u8::is_ascii_hexdigit) {
        return Err(format!("has no 64 hex characters in {SECRET_TOKEN}"));
    }
    let tls = super::pin::client(certificate).map_err(|e| format!("has a certificate that TLS cannot use: {e}"))?;
    Ok(Door {
        uid: seen.uid.clone(),
        tls: Arc::new(tls),
        token: [token, b"\n"].concat().into(),
    })
}
