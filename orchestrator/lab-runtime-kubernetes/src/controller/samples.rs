//! Objects that tests begin from.

use super::{keys::Keys, pod_view::PodFacts, settings::ControllerSettings};
use crate::api::LabSandbox;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lab_core::{
    LabDigest, SandboxId, SessionId,
    agent::{AgentSpec, PROTOCOL_VERSION},
    lab::{NetworkPolicy, RuntimeKind, SizeClass},
    port::SandboxSpec,
};

pub(crate) const SANDBOX: &str = "0192f8a0-7c3a-7000-8000-000000000001";
pub(crate) const SESSION: &str = "0192f8a0-7c3a-7000-8000-000000000002";
pub(crate) const UID: &str = "11111111-2222-3333-4444-555555555555";
/// When the sample object was made.
pub(crate) const CREATED: &str = "2026-11-22T10:00:00Z";

pub(crate) fn settings() -> ControllerSettings {
    ControllerSettings::new("labwire", "labs", "labwire/labwire:0.1.0", "controller-a")
}

pub(crate) fn sandbox() -> SandboxSpec {
    let session: SessionId = SESSION.parse().unwrap();
    SandboxSpec {
        id: SANDBOX.parse::<SandboxId>().unwrap(),
        session,
        lab: "ospf-triangle".into(),
        digest: LabDigest("ab".repeat(32)),
        image: "labwire/frr:1".into(),
        size: SizeClass::Small,
        user: 1000,
        namespaces: true,
        runtime: RuntimeKind::Container,
        network: NetworkPolicy::None,
        deadline_secs: 7200,
        agent: AgentSpec {
            protocol: PROTOCOL_VERSION,
            session,
            files: Vec::new(),
            start: vec!["/usr/bin/lab".into()],
            ready: Vec::new(),
            ready_within_ms: 60_000,
            terminals: Vec::new(),
            checks: Vec::new(),
            record_input: false,
            env: Vec::new(),
        },
    }
}

/// As the API server gives it back.
pub(crate) fn object() -> LabSandbox {
    let mut object = LabSandbox::of("labwire", &sandbox());
    object.metadata.namespace = Some("labs".into());
    object.metadata.uid = Some(UID.into());
    object.metadata.generation = Some(1);
    object.metadata.resource_version = Some("10".into());
    object.metadata.creation_timestamp = Some(Time(CREATED.parse().unwrap()));
    object
}

pub(crate) fn keys() -> Keys {
    Keys {
        certificate_pem: "CERTIFICATE".into(),
        key_pem: "KEY".into(),
        token: "TOKEN".into(),
        token_hash: "HASH OF THE TOKEN".into(),
        certificate_sha256: "FINGERPRINT".into(),
    }
}

/// A pod of the sample object, just made.
pub(crate) fn pod() -> PodFacts {
    PodFacts {
        uid: "pod-uid".into(),
        owner: UID.into(),
        version: 20,
        ..PodFacts::default()
    }
}
