//! Every write of the controller. Server-side apply, by one field manager; but Secrets are *created*, since applying would change the keys of a
//! pod that runs, and deletions name the uid that they mean.

use super::{
    build::{self, Wanted},
    error::ControllerError,
    keys,
    pod_view::{PodFacts, PodView},
    settings::ControllerSettings,
};
use crate::api::{
    CONTROLLER_MANAGER, LabSandbox, LabSandboxStatus, SECRET_CERTIFICATE, SECRET_TOKEN, SECRET_TOKEN_HASH,
    client_secret_name,
};
use k8s_openapi::api::{
    core::v1::{Pod, Secret},
    events::v1::Event,
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// Keeps a `LabSandbox` until its pod is gone: whoever deleted it sees when that is so.
pub(crate) const FINALIZER: &str = "labwire.dev/pod";

/// Grace of a pod whose sandbox is dropped: the session has ended and its agent has said goodbye before.
const DROP_GRACE_SECS: u32 = 1;

/// The kinds that are written.
#[derive(Clone)]
pub(crate) struct Writer {
    sandboxes: Api<LabSandbox>,
    pods: Api<Pod>,
    pod_views: Api<PodView>,
    secrets: Api<Secret>,
    policies: Api<NetworkPolicy>,
    events: Api<Event>,
}

impl Writer {
    /// `client` must be the guarded one.
    pub fn new(client: &Client, settings: &ControllerSettings) -> Self {
        let namespace = settings.namespace.as_str();
        Self {
            sandboxes: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            pod_views: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client.clone(), namespace),
            policies: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Adds our finalizer. Naming the uid keeps an apply from making an object that is just gone.
    pub async fn finalizer_add(&self, object: &LabSandbox) -> Result<LabSandbox, ControllerError> {
        let patch = identified(object, "metadata", json!({"finalizers": [FINALIZER]}));
        applied(&self.sandboxes, &object.name_any(), &patch).await
    }

    /// Takes our finalizer away; fine when the object is gone. Not by an apply that leaves it out: an API server of 1.20 forgets who owns an object's
    /// metadata when its status is applied. The version keeps the finalizers that others may have added since.
    pub async fn finalizer_remove(&self, object: &LabSandbox) -> Result<(), ControllerError> {
        let rest: Vec<&String> = object.finalizers().iter().filter(|f| *f != FINALIZER).collect();
        let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": rest}});
        let params = PatchParams {
            field_manager: Some(CONTROLLER_MANAGER.into()),
            ..PatchParams::default()
        };
        let patched = self
            .sandboxes
            .patch_metadata(&object.name_any(), &params, &Patch::Merge(patch))
            .await;
        match patched.map_err(ControllerError::from) {
            Ok(_) | Err(ControllerError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the status.
    pub async fn status(&self, object: &LabSandbox, status: &LabSandboxStatus) -> Result<LabSandbox, ControllerError> {
        let status = serde_json::to_value(status).expect("a status is plain data");
        let patch = identified(object, "status", status);
        let params = PatchParams::apply(CONTROLLER_MANAGER).force();
        Ok(self
            .sandboxes
            .patch_status(&object.name_any(), &params, &Patch::Apply(&patch))
            .await?)
    }

    /// Both Secrets, as they are or new. Gives the fingerprint of the certificate.
    pub async fn secrets(&self, wanted: &Wanted<'_>) -> Result<String, ControllerError> {
        let keys = keys::make(&wanted.object.name_any())?;
        let (mounted, client) = (
            build::mounted_secret(wanted, &keys),
            build::client_secret(wanted, &keys),
        );
        match self.create_both(&mounted, &client).await {
            Ok(()) => Ok(keys.certificate_sha256),
            Err(ControllerError::Conflict { .. }) => {
                if let Some(fingerprint) = self.existing(wanted).await? {
                    return Ok(fingerprint);
                }
                // whoever made them stopped between the two, so there is no pod yet: it comes after both
                self.no_pod(wanted).await?;
                applied::<Secret>(&self.secrets, &mounted.name_any(), &mounted).await?;
                applied::<Secret>(&self.secrets, &client.name_any(), &client).await?;
                Ok(keys.certificate_sha256)
            }
            Err(error) => Err(error),
        }
    }

    async fn create_both(&self, mounted: &Secret, client: &Secret) -> Result<(), ControllerError> {
        let params = PostParams {
            field_manager: Some(CONTROLLER_MANAGER.into()),
            ..PostParams::default()
        };
        self.secrets.create(&params, mounted).await?;
        self.secrets.create(&params, client).await?;
        Ok(())
    }

    /// The certificate's fingerprint, when both Secrets are there and belong together.
    async fn existing(&self, wanted: &Wanted<'_>) -> Result<Option<String>, ControllerError> {
        let name = wanted.object.name_any();
        let mounted = self.secrets.get_opt(&name).await?;
        let client = self.secrets.get_opt(&client_secret_name(&name)).await?;
        for secret in [&mounted, &client].into_iter().flatten() {
            owned(secret, wanted.object)?;
        }
        let (Some(mounted), Some(client)) = (mounted, client) else {
            return Ok(None);
        };
        let part = |secret: &Secret, key: &str| secret.data.as_ref().and_then(|d| d.get(key)).map(|v| v.0.clone());
        let certificate = part(&mounted, SECRET_CERTIFICATE);
        let token_hash = part(&client, SECRET_TOKEN).map(|token| keys::sha256(&token).into_bytes());
        let together =
            certificate == part(&client, SECRET_CERTIFICATE) && token_hash == part(&mounted, SECRET_TOKEN_HASH);
        Ok(certificate.filter(|_| together).and_then(|pem| keys::fingerprint(&pem)))
    }

    async fn no_pod(&self, wanted: &Wanted<'_>) -> Result<(), ControllerError> {
        match self.pods.get_metadata_opt(&wanted.object.name_any()).await? {
            None => Ok(()),
            Some(_) => Err(ControllerError::Inconsistent(
                "a pod is there and its Secrets do not belong together; delete the LabSandbox".into(),
            )),
        }
    }

    pub async fn policy(&self, wanted: &Wanted<'_>) -> Result<(), ControllerError> {
        let policy = build::policy(wanted);
        applied::<NetworkPolicy>(&self.policies, &policy.name_any(), &policy).await?;
        Ok(())
    }

    /// Makes the pod, or finds the one that is there already.
    pub async fn pod(&self, wanted: &Wanted<'_>) -> Result<PodFacts, ControllerError> {
        let pod = build::pod(wanted);
        let name = pod.name_any();
        match applied::<PodView>(&self.pod_views, &name, &pod).await {
            Ok(view) => Ok(PodFacts::of(view)),
            // the settings changed since somebody made it, or it belongs to an object of the same name that is just going
            Err(error @ (ControllerError::Conflict { .. } | ControllerError::Refused { .. })) => {
                match self.pod_now(&name).await? {
                    Some(facts) if Some(&facts.owner) == wanted.object.metadata.uid.as_ref() => Ok(facts),
                    Some(_) => Err(ControllerError::Conflict {
                        message: format!("pod {name} belongs to another object, which is going"),
                    }),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The pod as it is now, past every cache.
    pub async fn pod_now(&self, name: &str) -> Result<Option<PodFacts>, ControllerError> {
        Ok(self.pod_views.get_opt(name).await?.map(PodFacts::of))
    }

    /// Deletes this very pod; fine when it is gone. `force` takes it off a node that does not answer.
    pub async fn pod_delete(&self, name: &str, uid: &str, force: bool) -> Result<(), ControllerError> {
        let params = DeleteParams {
            grace_period_seconds: Some(if force { 0 } else { DROP_GRACE_SECS }),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.pods.delete(name, &params).await.map_err(ControllerError::from) {
            Ok(_) | Err(ControllerError::NotFound { .. } | ControllerError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells something, once: the same event again has the same name.
    pub async fn event(&self, event: &Event) -> Result<(), ControllerError> {
        match self
            .events
            .create(&PostParams::default(), event)
            .await
            .map_err(ControllerError::from)
        {
            Ok(_) | Err(ControllerError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// One part of a `LabSandbox`, of this very object.
fn identified(object: &LabSandbox, part: &str, value: Value) -> Value {
    let mut patch = json!({
        "apiVersion": "labwire.dev/v1alpha1",
        "kind": "LabSandbox",
        "metadata": {"name": object.name_any(), "uid": object.uid()},
    });
    match (&mut patch[part], value) {
        (Value::Object(there), Value::Object(more)) => there.extend(more),
        (place, value) => *place = value,
    }
    patch
}

async fn applied<K>(api: &Api<K>, name: &str, what: &(impl Serialize + Debug)) -> Result<K, ControllerError>
where
    K: Clone + DeserializeOwned + Debug,
{
    // forced: nobody else has anything to say about these fields
    let params = PatchParams::apply(CONTROLLER_MANAGER).force();
    Ok(api.patch(name, &params, &Patch::Apply(what)).await?)
}

/// Refuses what belongs to an object of the same name before this one: the garbage collector is about to remove it.
fn owned(secret: &Secret, object: &LabSandbox) -> Result<(), ControllerError> {
    if secret
        .owner_references()
        .iter()
        .any(|o| Some(&o.uid) == object.metadata.uid.as_ref())
    {
        return Ok(());
    }
    Err(ControllerError::Conflict {
        message: format!("Secret {} belongs to another object, which is going", secret.name_any()),
    })
}
