//! From a valid spec and the settings to the objects that Kubernetes is given. Pure: the same in, the same out, which the snapshots show.

mod pod;
mod policy;
mod secret;

pub(crate) use pod::{DEADLINE_GRACE_SECS, INIT_CONTAINER, LAB_CONTAINER, pod};
pub(crate) use policy::policy;
pub(crate) use secret::{client_secret, mounted_secret};

use super::{settings::ControllerSettings, validate::Valid};
use crate::api::{LABEL_COMPONENT, LABEL_INSTALLATION, LABEL_LAB, LABEL_SANDBOX, LABEL_SESSION, LabSandbox};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;

/// The value of [`LABEL_COMPONENT`] of everything that is made for a sandbox.
pub(crate) const COMPONENT: &str = "sandbox";

/// What all objects of one sandbox are made from.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub settings: &'a ControllerSettings,
    pub object: &'a LabSandbox,
    pub spec: &'a Valid<'a>,
}

impl Wanted<'_> {
    fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            ("app.kubernetes.io/name", "labwire".to_owned()),
            ("app.kubernetes.io/managed-by", "labwire-controller".to_owned()),
            (LABEL_COMPONENT, COMPONENT.to_owned()),
            (LABEL_INSTALLATION, self.settings.installation.clone()),
            (LABEL_SANDBOX, self.spec.sandbox.to_string()),
            (LABEL_SESSION, self.spec.session.to_string()),
            (LABEL_LAB, self.spec.lab.to_owned()),
        ];
        labels.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Name, labels and owner: what is made for a sandbox goes when it goes.
    fn metadata(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: self.object.namespace(),
            labels: Some(self.labels()),
            owner_references: Some(vec![OwnerReference {
                controller: Some(true),
                block_owner_deletion: Some(true),
                ..self.owner()
            }]),
            ..ObjectMeta::default()
        }
    }

    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: LabSandbox::api_version(&()).into_owned(),
            kind: LabSandbox::kind(&()).into_owned(),
            name: self.object.name_any(),
            uid: self.object.uid().unwrap_or_default(),
            ..OwnerReference::default()
        }
    }
}

#[cfg(test)]
mod tests;
