//! What the controller wants to know of a pod, and nothing else: 2,500 whole pods would be 40 MB, these are 2.

use super::build::{INIT_CONTAINER, LAB_CONTAINER};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerState, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::Resource;
use serde::{Deserialize, Serialize};

/// A pod as it is read: the fields that [`PodFacts`] come from.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
#[resource(inherit = Pod)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodView {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: SpecView,
    #[serde(default)]
    pub status: StatusView,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpecView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(default)]
    conditions: Vec<ConditionView>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerView>,
    #[serde(default)]
    container_statuses: Vec<ContainerView>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionView {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerView {
    name: String,
    #[serde(default)]
    state: ContainerState,
}

/// What matters of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub uid: String,
    /// Uid of the `LabSandbox` that it belongs to.
    pub owner: String,
    pub version: u64,
    pub phase: PodPhase,
    /// Said of the pod as a whole, when it failed.
    pub reason: Option<String>,
    pub message: Option<String>,
    pub node: Option<String>,
    pub ip: Option<String>,
    /// It is being deleted, and this is when its grace ends.
    pub deleting: Option<Timestamp>,
    /// Why no node takes it.
    pub unschedulable: Option<String>,
    /// Its node has not told its own state for long enough (40 s by default) to be doubted.
    pub node_away: bool,
    pub init: ContainerFacts,
    pub lab: ContainerFacts,
}

/// A pod's own phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PodPhase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    /// The node does not say.
    Unknown,
}

/// Where a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ContainerFacts {
    #[default]
    NotYet,
    /// (one word, the rest)
    Waiting(String, String),
    Running {
        since: Option<Timestamp>,
    },
    Ended {
        code: i32,
        reason: String,
        message: String,
        at: Option<Timestamp>,
    },
}

impl PodFacts {
    /// Reads a pod.
    pub fn of(view: PodView) -> Self {
        let PodView { metadata, spec, status } = view;
        let owner = metadata.owner_references.unwrap_or_default();
        let untrue = |type_: &str| {
            status
                .conditions
                .iter()
                .find(|c| c.type_ == type_ && c.status == "False")
        };
        let unschedulable = untrue("PodScheduled")
            .filter(|c| c.reason.as_deref() == Some("Unschedulable"))
            .map(|c| c.message.clone().unwrap_or_default());
        // a kubelet gives a reason for what is not ready; who watches the nodes takes the word back in its place, and gives none
        let node_away = untrue("Ready").is_some_and(|c| c.reason.as_deref().unwrap_or_default().is_empty());
        Self {
            uid: metadata.uid.unwrap_or_default(),
            owner: owner
                .into_iter()
                .find(|o| o.controller == Some(true))
                .map(|o| o.uid)
                .unwrap_or_default(),
            version: version(metadata.resource_version.as_deref()),
            phase: match status.phase.as_str() {
                "Running" => PodPhase::Running,
                "Succeeded" => PodPhase::Succeeded,
                "Failed" => PodPhase::Failed,
                "Unknown" => PodPhase::Unknown,
                _ => PodPhase::Pending,
            },
            reason: status.reason,
            message: status.message,
            node: spec.node_name,
            ip: status.pod_ip,
            deleting: metadata.deletion_timestamp.map(|t| t.0),
            unschedulable,
            node_away,
            init: container(status.init_container_statuses, INIT_CONTAINER),
            lab: container(status.container_statuses, LAB_CONTAINER),
        }
    }

    /// It will never run (again).
    pub fn ended(&self) -> bool {
        matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
}

fn container(all: Vec<ContainerView>, name: &str) -> ContainerFacts {
    let Some(state) = all.into_iter().find(|c| c.name == name).map(|c| c.state) else {
        return ContainerFacts::NotYet;
    };
    let at = |t: Option<Time>| t.map(|t| t.0);
    if let Some(ended) = state.terminated {
        ContainerFacts::Ended {
            code: ended.exit_code,
            reason: ended.reason.unwrap_or_default(),
            message: ended.message.unwrap_or_default(),
            at: at(ended.finished_at),
        }
    } else if let Some(running) = state.running {
        ContainerFacts::Running {
            since: at(running.started_at),
        }
    } else if let Some(waiting) = state.waiting {
        ContainerFacts::Waiting(waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default())
    } else {
        ContainerFacts::NotYet
    }
}

/// A resource version as a number, to tell which of two sights is newer. They are numbers on every API server there is, and from 1.35 on by
/// contract; 0, which is older than all, where one is not.
pub(crate) fn version(text: Option<&str>) -> u64 {
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_word_that_was_taken_back_says_that_a_node_is_away() {
        let node_away = |condition: serde_json::Value| {
            let pod = json!({"metadata": {}, "status": {"phase": "Running", "conditions": [condition]}});
            PodFacts::of(serde_json::from_value(pod).unwrap()).node_away
        };
        assert!(!node_away(json!({"type": "Ready", "status": "True"})));
        // its kubelet said so, while the pod starts or ends
        assert!(!node_away(
            json!({"type": "Ready", "status": "False", "reason": "ContainersNotReady"})
        ));
        // the node lifecycle controller turns the status and leaves the rest
        assert!(node_away(json!({"type": "Ready", "status": "False"})));
    }
}
