//! What an installation decides of its sandboxes on Kubernetes.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Where `lab-agent` lies in Labwire's own image.
pub const AGENT_IN_IMAGE: &str = "/usr/lib/labwire/lab-agent";

/// How many objects are worked on at once. A reconcile is some six requests one after the other, each 5-20 ms on a busy API server: 16 at once
/// make 16 / (6 × 20 ms) ≈ 130 sandboxes a second, and 2,500 in 20 s, without being more than a tenth of what API servers let in at once.
pub const CONCURRENCY: usize = 16;

/// Settings of the controller and of every pod it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    /// Objects of other installations are never touched. `[a-z0-9-]{1,32}`, as a label's value.
    pub installation: String,
    /// The only namespace that is looked at.
    pub namespace: String,
    /// Labwire's image: it carries the agent.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`, for both images; Kubernetes' own default when absent.
    pub image_pull_policy: Option<String>,
    /// Names of Secrets in the namespace.
    pub image_pull_secrets: Vec<String>,
    pub seccomp: Seccomp,
    /// Gives labs that make namespaces an unmasked /proc: they may set sysctls and forward IPv6.
    pub proc_mount_unmasked: bool,
    /// `Some(false)`: pods have a user namespace of their own (clusters from 1.30).
    pub host_users: Option<bool>,
    pub runtime_class: Option<String>,
    pub node_selector: BTreeMap<String, String>,
    pub tolerations: Vec<Toleration>,
    pub priority_class: Option<String>,
    /// A sandbox may use the CPUs of its size, and reserves this fraction of them: 1 reserves all. Labs idle while their learner reads.
    pub cpu_overcommit: u32,
    /// The device plugin's resource that stands for /dev/kvm, like `devices.kubevirt.io/kvm`; VM labs emulate without it.
    pub kvm_resource: Option<String>,
    /// Who may connect to agents.
    pub serve: ServePods,
    /// Objects worked on at once, see [`CONCURRENCY`].
    pub concurrency: usize,
    /// This process among its peers: the pod's name, usually.
    pub identity: String,
    pub lease: LeaseTimes,
}

impl ControllerSettings {
    /// The usual settings: nothing special asked of the cluster.
    pub fn new(
        installation: impl Into<String>,
        namespace: impl Into<String>,
        image: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            installation: installation.into(),
            namespace: namespace.into(),
            image: image.into(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            seccomp: Seccomp::default(),
            proc_mount_unmasked: false,
            host_users: None,
            runtime_class: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            priority_class: None,
            cpu_overcommit: 1,
            kvm_resource: None,
            serve: ServePods::default(),
            concurrency: CONCURRENCY,
            identity: identity.into(),
            lease: LeaseTimes::default(),
        }
    }

    /// Name of the Lease that the leader holds.
    pub fn lease_name(&self) -> String {
        format!("labwire-controller-{}", self.installation)
    }
}

/// System calls of labs that make namespaces; other labs have the node's default profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// A profile below the kubelet's `seccomp` folder.
    Localhost(String),
    /// The node's default, which refuses user namespaces on most nodes: such labs do not come up.
    RuntimeDefault,
    /// No filter at all.
    Unconfined,
}

impl Default for Seccomp {
    fn default() -> Self {
        Self::Localhost("labwire/lab.json".into())
    }
}

/// Lets pods onto tainted nodes; Kubernetes' own form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    pub key: Option<String>,
    pub operator: Option<String>,
    pub value: Option<String>,
    pub effect: Option<String>,
    pub toleration_seconds: Option<i64>,
}

/// The pods of `labwire serve`, as the sandboxes' network policies name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServePods {
    /// Their namespace, when it is not the sandboxes'.
    pub namespace: Option<String>,
    /// Labels that they have.
    pub labels: BTreeMap<String, String>,
}

impl Default for ServePods {
    fn default() -> Self {
        let component = (crate::api::LABEL_COMPONENT.to_owned(), "serve".to_owned());
        Self {
            namespace: None,
            labels: BTreeMap::from([component]),
        }
    }
}

/// Times of the leader's lease; see `fence.rs` for what must hold between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Others take over when they have seen no renewal for so long.
    pub duration: Duration,
    /// How often the leader renews, and how often the others look.
    pub renew: Duration,
    /// No write may take longer.
    pub write: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(3),
            write: Duration::from_secs(5),
        }
    }
}
