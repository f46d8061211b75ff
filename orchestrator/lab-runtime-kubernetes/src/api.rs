//! `LabSandbox` (`labwire.dev/v1alpha1`): what `labwire serve` asks for, and what the controller says of it.
//!
//! Values that a person or a newer version may write otherwise than we expect (ids, the size, the runtime) are text here and checked by
//! the controller: one object that does not decode would end the watch of all of them. The schema refuses most of it earlier.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, CustomResourceExt};
use lab_core::{SandboxId, SessionId, port::SandboxSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Label: name of the installation. Objects of other installations are never listed or touched.
pub const LABEL_INSTALLATION: &str = "labwire.dev/installation";
/// Label: the session's id.
pub const LABEL_SESSION: &str = "labwire.dev/session";
/// Label: the lab's id.
pub const LABEL_LAB: &str = "labwire.dev/lab";
/// Label: the sandbox's id.
pub const LABEL_SANDBOX: &str = "labwire.dev/sandbox";
/// Label of Kubernetes' own vocabulary: which part of Labwire a pod is.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";

/// Field manager of the controller.
pub const CONTROLLER_MANAGER: &str = "labwire-controller";
/// Field manager of `labwire serve`.
pub const SERVE_MANAGER: &str = "labwire-serve";

/// Where the agent in a pod listens for TLS.
pub const AGENT_PORT: u16 = 7443;

/// Key of the Secrets: the agent's certificate (PEM).
pub const SECRET_CERTIFICATE: &str = "tls.crt";
/// Key of the Secret that is mounted: the certificate's private key (PEM).
pub const SECRET_KEY: &str = "tls.key";
/// Key of the Secret that is mounted: lower-case hex SHA-256 of the token's 64 characters.
pub const SECRET_TOKEN_HASH: &str = "token.sha256";
/// Key of the Secret that is mounted: the agent's spec (JSON).
pub const SECRET_SPEC: &str = "spec.json";
/// Key of the client's Secret: 64 lower-case hex characters that open the agent.
pub const SECRET_TOKEN: &str = "token";

// why allowed: clippy takes the same word in two printer columns for one attribute written twice
#[allow(clippy::duplicated_attributes)]
/// What a sandbox must be. Set once. Whether a warm pool keeps it is not here but in the database, where it is claimed: a copy would need a
/// write at every click, and be wrong whenever that write was lost.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "labwire.dev",
    version = "v1alpha1",
    kind = "LabSandbox",
    plural = "labsandboxes",
    shortname = "lsb",
    namespaced,
    status = "LabSandboxStatus",
    derive = "PartialEq",
    doc = "A sandbox of a lab: a pod with Labwire's agent in it, for one learner's session.",
    printcolumn(name = "Lab", type_ = "string", json_path = ".spec.lab"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(
        name = "Ready-In",
        type_ = "integer",
        json_path = ".status.readySeconds",
        description = "Seconds from the object's creation to its running agent"
    ),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Session", type_ = "string", json_path = ".spec.session"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct LabSandboxSpec {
    /// The sandbox's id (UUID, lower case); the object is named `lsb-` and this.
    #[schemars(extend("format" = "uuid"))]
    pub sandbox: String,
    /// The session's id (UUID, lower case). A sandbox of a warm pool has one from the beginning.
    #[schemars(extend("format" = "uuid"))]
    pub session: String,
    /// The lab's id.
    pub lab: String,
    /// The lab version: hex BLAKE3 of its file.
    pub digest: String,
    /// Container image of the lab.
    pub image: String,
    /// Processor, memory, processes and disk.
    #[schemars(extend("enum" = ["small", "medium", "large"]))]
    pub size: String,
    /// Uid of the agent and everything below it. Never 0.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub user: i64,
    /// The lab makes user namespaces: it needs the wider seccomp profile.
    #[serde(default)]
    pub namespaces: bool,
    /// The sandbox ends itself after so many seconds.
    #[schemars(range(min = 1))]
    pub deadline_secs: i64,
    /// `container`: the lab's processes run in the pod. `vm`: they run QEMU.
    #[serde(default = "default_runtime")]
    #[schemars(extend("enum" = ["container", "vm"]))]
    pub runtime: String,
    /// What the sandbox may reach.
    #[serde(default)]
    pub network: NetworkSpec,
    /// The agent's spec, as JSON text.
    pub agent: String,
}

fn default_runtime() -> String {
    "container".into()
}

/// See [`LabSandboxSpec::network`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    /// `none`: nothing at all.
    #[serde(default = "default_network")]
    #[schemars(extend("enum" = ["none"]))]
    pub policy: String,
}

fn default_network() -> String {
    "none".into()
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            policy: default_network(),
        }
    }
}

/// What the controller has seen. Written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabSandboxStatus {
    #[serde(default)]
    pub phase: Phase,
    /// Why it waits, why it ended, or what is doubtful while it runs, in one CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where the pod runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The pod's address; the agent listens there on port 7443.
    #[serde(default, rename = "podIP", skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// When the agent's process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time_schema")]
    pub started_at: Option<Time>,
    /// From the object's creation to `startedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_seconds: Option<i64>,
    /// How the agent's process ended, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Hex SHA-256 of the agent's certificate (DER).
    #[serde(default, rename = "certificateSha256", skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
}

/// Where a sandbox is. Before it runs it may wait again and again; then it only moves forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Waits for something; `reason` says for what.
    #[default]
    Pending,
    /// Its pod is being started on a node.
    Starting,
    /// Its agent's process runs.
    Running,
    /// Ended, for ever.
    Gone,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Starting, Self::Running, Self::Gone];

    /// As `kubectl` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Gone => "Gone",
        }
    }
}

/// How the agent's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Its exit status.
    pub code: i32,
    /// Whether memory ran out.
    #[serde(default)]
    pub oom: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time_schema")]
    pub at: Option<Time>,
}

/// One aspect of a sandbox, in Kubernetes' usual form, so that `kubectl wait --for=condition=Running` works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Validated`, `Provisioned` or `Running`.
    #[serde(rename = "type")]
    pub type_: String,
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// One CamelCase word.
    pub reason: String,
    // left out when empty, so that the schema has no default: API servers up to 1.20 refuse "" as one
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of the object's spec that this was said of.
    #[serde(default)]
    pub observed_generation: i64,
    #[schemars(schema_with = "time_schema")]
    pub last_transition_time: Time,
}

/// What `status.reason` may say: the words are part of the resource, and the runtime port acts on some of them.
pub mod reason {
    /// No node has room (or the selector matches none).
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// The namespace's quota is used up.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// The lab's image, or ours, cannot be fetched.
    pub const IMAGE_MISSING: &str = "ImageMissing";
    /// The spec has a value that cannot be carried out; nothing is made.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The API server or an admission webhook refuses the pod.
    pub const REFUSED: &str = "Refused";
    /// The node cannot make the container: a missing seccomp profile, for example.
    pub const CONTAINER_REFUSED: &str = "ContainerRefused";
    /// The pod was removed, by a person, a drain or an eviction.
    pub const POD_DELETED: &str = "PodDeleted";
    /// The pod's node is not there any more.
    pub const NODE_LOST: &str = "NodeLost";
    /// The pod runs, as far as its node has told: it tells nothing any more, and may come back.
    pub const NODE_NOT_READY: &str = "NodeNotReady";
    /// The agent could not be put into the pod.
    pub const INIT_FAILED: &str = "InitFailed";
    /// The node ran short and chose this pod.
    pub const EVICTED: &str = "Evicted";
    /// The lab wrote more to its disk than its size has.
    pub const OUT_OF_DISK: &str = "OutOfDisk";
    /// The lab used more memory than its size has.
    pub const OUT_OF_MEMORY: &str = "OutOfMemory";
    /// `deadlineSecs` is over.
    pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
    /// The agent ended with status 0.
    pub const COMPLETED: &str = "Completed";
    /// The agent ended with another status.
    pub const AGENT_FAILED: &str = "AgentFailed";
}

/// `lsb-<sandbox>`.
pub fn object_name(sandbox: SandboxId) -> String {
    format!("lsb-{sandbox}")
}

/// Name of the Secret that only `serve` reads: token and certificate.
pub fn client_secret_name(object: &str) -> String {
    format!("{object}-client")
}

impl LabSandbox {
    /// What `labwire serve` applies for a sandbox of `installation`.
    pub fn of(installation: &str, spec: &SandboxSpec) -> Self {
        let SandboxSpec {
            id,
            session,
            lab,
            digest,
            image,
            size,
            user,
            namespaces,
            runtime,
            network,
            deadline_secs,
            agent,
        } = spec;
        let mut object = Self::new(
            &object_name(*id),
            LabSandboxSpec {
                sandbox: id.to_string(),
                session: session.to_string(),
                lab: lab.to_string(),
                digest: digest.to_string(),
                image: image.clone(),
                size: word(size),
                user: i64::from(*user),
                namespaces: *namespaces,
                deadline_secs: i64::try_from(*deadline_secs).unwrap_or(i64::MAX),
                runtime: word(runtime),
                network: NetworkSpec { policy: word(network) },
                agent: serde_json::to_string(agent).expect("a spec is plain data with text keys"),
            },
        );
        object.metadata.labels = Some(BTreeMap::from([
            (LABEL_INSTALLATION.to_owned(), installation.to_owned()),
            (LABEL_SESSION.to_owned(), session.to_string()),
            (LABEL_LAB.to_owned(), lab.to_string()),
        ]));
        object
    }

    /// The sandbox's id; none when the spec's is not one.
    pub fn sandbox_id(&self) -> Option<SandboxId> {
        self.spec.sandbox.parse().ok()
    }

    /// The session's id; none when the spec's is not one.
    pub fn session_id(&self) -> Option<SessionId> {
        self.spec.session.parse().ok()
    }

    /// The phase of the status; `Pending` before there is one.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map(|s| s.phase).unwrap_or_default()
    }
}

/// The word that stands for a plain enum in YAML.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum without fields is a word, not {other:?}"),
    }
}

fn time_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "date-time"})
}

/// The resource's definition, as YAML: what `labwire crd` prints and the chart installs.
pub fn crd_yaml() -> String {
    let yaml = serde_yaml::to_string(&LabSandbox::crd()).expect("a definition is plain data");
    format!("# Made by `labwire crd`; change orchestrator/lab-runtime-kubernetes/src/api.rs instead.\n{yaml}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_chart_has_the_definition_that_the_types_make() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/crds/labsandboxes.yaml");
        if std::env::var_os("LABWIRE_BLESS").is_some() {
            std::fs::write(&path, crd_yaml()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == crd_yaml(),
            "renew it: labwire crd > helm/crds/labsandboxes.yaml"
        );
    }

    #[test]
    fn an_old_api_server_takes_the_schema() {
        let yaml = crd_yaml();
        // 1.20 refuses or drops these: CEL rules, selectable fields, types without a `type`, empty defaults
        for new in [
            "x-kubernetes-validations",
            "selectableFields",
            "anyOf",
            "oneOf",
            "default: ''",
        ] {
            assert!(!yaml.contains(new), "{new} in\n{yaml}");
        }
    }

    #[test]
    fn phases_are_named_as_they_are_written() {
        for phase in Phase::ALL {
            assert_eq!(word(&phase), phase.name());
        }
    }
}
