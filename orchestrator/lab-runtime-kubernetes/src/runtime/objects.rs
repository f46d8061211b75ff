//! Making and dropping `LabSandbox` objects.
//!
//! An object is *created*, not applied: its spec never changes, so there is nothing to bring up to date, and an apply would silently take over
//! an object of the same name that another installation made in this namespace.

use super::{
    KubernetesOptions,
    error::{code, not_made, plain, unavailable, within},
    index::{Index, Seen},
};
use crate::api::{LABEL_INSTALLATION, LabSandbox, LabSandboxStatus, Phase, SERVE_MANAGER, object_name};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, PostParams, Preconditions},
    core::Object,
};
use lab_core::{
    SandboxId,
    port::{RuntimeError, SandboxSpec},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// A change of ours is shown by the watch within milliseconds; a watch that is so late is broken.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
/// What is left of a sandbox of the same id is removed within so long: the controller takes a pod off a node that does not answer
/// after 20 s, and what its node took 5 s to stop.
const REMOVED_WITHIN: Duration = Duration::from_secs(40);
/// Turns of create and look: each can only be lost to somebody who created or removed the object in between.
const TURNS_MAX: usize = 5;

/// What is kept of an object's spec: thousands are watched, and the agents' specs are the largest part of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LeanSpec {
    pub sandbox: String,
    pub session: String,
}

/// See [`LeanSpec`].
pub(crate) type Lean = Object<LeanSpec, LabSandboxStatus>;

/// See the module's doc.
pub(crate) struct Objects {
    installation: String,
    namespace: String,
    full: Api<LabSandbox>,
    lean: Api<Lean>,
    index: Arc<Index>,
}

impl Objects {
    pub fn new(client: &Client, options: &KubernetesOptions, index: Arc<Index>) -> Self {
        let KubernetesOptions {
            installation,
            namespace,
            connect: _,
        } = options;
        let resource = ApiResource::erase::<LabSandbox>(&());
        Self {
            full: Api::namespaced(client.clone(), namespace),
            lean: Api::namespaced_with(client.clone(), namespace, &resource),
            installation: installation.clone(),
            namespace: namespace.clone(),
            index,
        }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What to watch, and the labels of ours in it.
    pub fn watched(&self) -> (Api<Lean>, String) {
        (self.lean.clone(), format!("{LABEL_INSTALLATION}={}", self.installation))
    }

    /// Makes the object, unless it is there; one that ended is removed first. Returns when the list has it.
    pub async fn ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        let id = spec.id;
        let object = LabSandbox::of(&self.installation, spec);
        let params = PostParams {
            field_manager: Some(SERVE_MANAGER.into()),
            ..PostParams::default()
        };
        for _ in 0..TURNS_MAX {
            let refused = match plain("create", self.full.create(&params, &object)).await? {
                Ok(made) => return self.shown(id, &made.uid().unwrap_or_default()).await,
                Err(refused) => refused,
            };
            if code(&refused) != Some(409) {
                return Err(not_made(id, refused));
            }
            let Some(there) = self.get(id).await? else {
                continue; // removed in between
            };
            if !self.is_ours(&there) {
                let message = "the namespace has a sandbox of this id that another installation made".into();
                return Err(RuntimeError::Refused { id, message });
            }
            let uid = there.uid().unwrap_or_default();
            let ended = there.status.as_ref().is_some_and(|s| s.phase == Phase::Gone);
            if !ended && there.metadata.deletion_timestamp.is_none() {
                return self.shown(id, &uid).await;
            }
            self.delete(id, &uid).await?;
            let other = |seen: Option<&Seen>| seen.is_none_or(|s| s.uid != uid);
            let left = self.index.wait(id, REMOVED_WITHIN, other).await;
            if !other(left.as_ref()) {
                return Err(late(
                    "what was left of an earlier sandbox of this id is not removed yet",
                ));
            }
        }
        Err(late(
            "the object is made and removed all the time; is a second installation of this name at work?",
        ))
    }

    /// Asks for the removal. Returns when the list does not have it any more; pod and secrets follow within seconds.
    pub async fn drop_sandbox(&self, id: SandboxId) -> Result<(), RuntimeError> {
        // what the watch has not shown (yet) may be there all the same, and may be somebody else's
        let uid = match self.index.get(id) {
            Some(seen) if seen.deleting => return Ok(()),
            Some(seen) => seen.uid,
            None => match self.get(id).await? {
                Some(there) if self.is_ours(&there) => there.uid().unwrap_or_default(),
                _ => return Ok(()),
            },
        };
        self.delete(id, &uid).await?;
        let dropped = |seen: Option<&Seen>| seen.is_none_or(|s| s.uid != uid || s.deleting);
        let seen = self.index.wait(id, SHOWN_WITHIN, dropped).await;
        if dropped(seen.as_ref()) {
            return Ok(());
        }
        Err(late("the removal is not shown by the watch"))
    }

    async fn get(&self, id: SandboxId) -> Result<Option<Lean>, RuntimeError> {
        within("get", self.lean.get_opt(&object_name(id))).await
    }

    fn is_ours(&self, object: &Lean) -> bool {
        object.labels().get(LABEL_INSTALLATION) == Some(&self.installation)
    }

    /// Fine when it is not there, or is another of the same name.
    async fn delete(&self, id: SandboxId, uid: &str) -> Result<(), RuntimeError> {
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        match plain("delete", self.lean.delete(&object_name(id), &params)).await? {
            Err(refused) if !matches!(code(&refused), Some(404 | 409)) => Err(unavailable("delete")(refused)),
            _ => Ok(()),
        }
    }

    /// Waits until the list has the object: else the next look at the list would take it for lost.
    async fn shown(&self, id: SandboxId, uid: &str) -> Result<(), RuntimeError> {
        let has = |seen: Option<&Seen>| seen.is_some_and(|s| s.uid == uid);
        let seen = self.index.wait(id, SHOWN_WITHIN, has).await;
        if has(seen.as_ref()) {
            return Ok(());
        }
        Err(late("the new object is not shown by the watch"))
    }
}

fn late(what: &'static str) -> RuntimeError {
    RuntimeError::Unavailable {
        operation: "watch",
        source: what.into(),
    }
}
