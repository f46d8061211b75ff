//! What `kubectl describe` shows below an object.

use super::{error::ControllerError, keys::sha256};
use crate::api::{CONTROLLER_MANAGER, LabSandbox, LabSandboxStatus, Phase, reason};
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Resource, ResourceExt};

/// What is told, and whether somebody should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

/// What a change of status is worth telling. Pure.
pub(crate) fn of_change(old: &LabSandboxStatus, new: &LabSandboxStatus) -> Vec<Told> {
    let provisioned = |s: &LabSandboxStatus| super::status::is_true(s, "Provisioned");
    let mut told = Vec::new();
    if provisioned(new) && !provisioned(old) {
        told.push(Told {
            warning: false,
            reason: "Provisioned".into(),
            note: "Secrets, NetworkPolicy and Pod are made".into(),
        });
    }
    if new.phase == Phase::Running && old.phase != Phase::Running {
        let node = new.node.as_deref().unwrap_or("its node");
        let seconds = new.ready_seconds.unwrap_or(0);
        told.push(Told {
            warning: false,
            reason: "Running".into(),
            note: format!("The agent runs on {node}, {seconds} s after the sandbox was asked for"),
        });
    }
    if let Some(reason) = new.reason.as_ref().filter(|r| Some(*r) != old.reason.as_ref()) {
        told.push(Told {
            warning: reason != reason::COMPLETED,
            reason: reason.clone(),
            note: new.message.clone().unwrap_or_default(),
        });
    }
    told
}

/// Longest note that an API server takes is 1 kB; a refusal may quote a whole webhook.
const NOTE_CHARS_MAX: usize = 400;

/// What could not be done for an object, and is tried again.
pub(crate) fn of_failure(error: &ControllerError) -> Told {
    Told {
        warning: true,
        reason: "ReconcileFailed".into(),
        note: error.to_string().chars().take(NOTE_CHARS_MAX).collect(),
    }
}

/// The event. Its name follows from what it says: told again, by us or by who leads after us, it is the same one.
pub(crate) fn event(object: &LabSandbox, told: &Told, identity: &str, now: Timestamp) -> Event {
    let name = object.name_any();
    let hash = sha256(format!("{}\n{}\n{}", object.uid().unwrap_or_default(), told.reason, told.note).as_bytes());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{}", &hash[..16])),
            namespace: object.namespace(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        regarding: Some(ObjectReference {
            field_path: None,
            ..object.object_ref(&())
        }),
        type_: Some(if told.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(told.reason.clone()),
        note: Some(told.note.clone()).filter(|n| !n.is_empty()),
        action: Some("Reconcile".into()),
        reporting_controller: Some(CONTROLLER_MANAGER.into()),
        reporting_instance: Some(identity.to_owned()),
        ..Event::default()
    }
}
