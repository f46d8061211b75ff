//! From what is there to what the object says of it. Pure; only what was read back from the API server counts, never what we meant to do.
//!
//! ```text
//!  Pending ◄──► Starting ──► Running ──► Gone        from Running on it only moves forward
//!     └────────────┴──────────────────────┘
//! ```

use super::pod_view::{ContainerFacts, PodFacts, PodPhase};
use crate::api::{Condition, Exit, LabSandbox, LabSandboxStatus, Phase, reason};
use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How long after its grace a pod that is being deleted may still be listed before its node counts as lost: a kubelet that lives removes it within
/// seconds, and restarting one takes less than this.
pub(crate) const NODE_LOST_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Longer texts are cut: a status is read by people.
const MESSAGE_CHARS_MAX: usize = 400;

/// What is known of a sandbox.
#[derive(Clone, Debug)]
pub(crate) enum Observed<'a> {
    /// Its spec cannot be carried out.
    Invalid(String),
    /// Something could not be made.
    Waiting { reason: &'static str, message: String },
    /// The pod as the API server last gave it, and the fingerprint of the certificate in its Secret.
    Pod(&'a PodFacts, Option<&'a str>),
    /// There was a pod.
    PodDeleted,
}

/// The next status; equal to the old one when there is nothing new to say.
pub(crate) fn next(object: &LabSandbox, observed: &Observed<'_>, now: Timestamp) -> LabSandboxStatus {
    let old = object.status.clone().unwrap_or_default();
    if old.phase == Phase::Gone {
        return old;
    }
    let mut new = LabSandboxStatus {
        reason: None,
        message: None,
        ..old.clone()
    };
    match observed {
        Observed::Invalid(message) => say(&mut new, Phase::Pending, reason::INVALID_SPEC, message),
        Observed::Waiting { reason, message } => say(&mut new, Phase::Pending, reason, message),
        Observed::PodDeleted => say(&mut new, Phase::Gone, reason::POD_DELETED, "the pod was removed"),
        Observed::Pod(pod, fingerprint) => {
            if let Some(fingerprint) = fingerprint {
                new.certificate_sha256 = Some((*fingerprint).to_owned());
            }
            of_pod(&mut new, object, pod, now);
        }
    }
    if old.phase >= Phase::Running {
        new.phase = new.phase.max(old.phase);
    }
    new.conditions = conditions(&old, &new, observed, object.metadata.generation.unwrap_or(0), now);
    new
}

/// Whether `new` is worth a write: texts and nodes of one that still waits change all the time.
pub(crate) fn worth_writing(old: Option<&LabSandboxStatus>, new: &LabSandboxStatus) -> bool {
    let Some(old) = old else { return true };
    let gist = |s: &LabSandboxStatus| {
        let conditions: Vec<_> = s
            .conditions
            .iter()
            .map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()))
            .collect();
        let exit = s.exit.clone();
        (
            s.phase,
            s.reason.clone(),
            s.certificate_sha256.clone(),
            s.ready_seconds,
            exit,
            conditions,
        )
    };
    // an address is told once it can be used
    let address = |s: &LabSandboxStatus| s.pod_ip.clone().filter(|_| s.phase == Phase::Running);
    gist(old) != gist(new) || address(old) != address(new)
}

fn say(status: &mut LabSandboxStatus, phase: Phase, reason: &str, message: &str) {
    status.phase = phase;
    status.reason = Some(reason.to_owned());
    status.message = Some(message.chars().take(MESSAGE_CHARS_MAX).collect()).filter(|m: &String| !m.is_empty());
}

fn of_pod(status: &mut LabSandboxStatus, object: &LabSandbox, pod: &PodFacts, now: Timestamp) {
    status.node = pod.node.clone().or(status.node.take());
    status.pod_ip = pod.ip.clone().or(status.pod_ip.take());
    if let ContainerFacts::Running { since: Some(since) } = pod.lab {
        started(status, object, since);
    }
    if let ContainerFacts::Ended { code, reason, at, .. } = &pod.lab {
        status.exit = Some(Exit {
            code: *code,
            oom: reason == "OOMKilled",
            at: at.map(Time),
        });
    }
    let lost = pod.phase == PodPhase::Unknown || pod.deleting.is_some_and(|end| now > end + NODE_LOST_AFTER);
    if pod.ended() {
        let (why, message) = end(pod);
        say(status, Phase::Gone, why, &message);
    } else if lost && pod.node.is_some() {
        say(
            status,
            Phase::Gone,
            reason::NODE_LOST,
            "the pod's node does not answer any more",
        );
    } else if matches!(pod.lab, ContainerFacts::Running { .. }) {
        status.phase = Phase::Running;
        if pod.node_away {
            let message = "the pod's node has not answered for a while: how it is there is not known";
            say(status, Phase::Running, reason::NODE_NOT_READY, message);
        }
    } else if let Some((why, message)) = waits(pod) {
        say(status, Phase::Pending, why, &message);
    } else {
        status.phase = Phase::Starting;
    }
}

fn started(status: &mut LabSandboxStatus, object: &LabSandbox, since: Timestamp) {
    status.started_at = Some(Time(since));
    if let Some(created) = &object.metadata.creation_timestamp {
        status.ready_seconds = Some(since.duration_since(created.0).as_secs().max(0));
    }
}

/// What keeps a pod from starting, if anything does.
fn waits(pod: &PodFacts) -> Option<(&'static str, String)> {
    if let Some(message) = &pod.unschedulable {
        return Some((reason::UNSCHEDULABLE, message.clone()));
    }
    [&pod.init, &pod.lab].into_iter().find_map(|container| {
        let ContainerFacts::Waiting(word, message) = container else {
            return None;
        };
        let why = match word.as_str() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable" => reason::IMAGE_MISSING,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => reason::CONTAINER_REFUSED,
            _ => return None,
        };
        let message = if message.is_empty() {
            word.clone()
        } else {
            message.clone()
        };
        Some((why, message))
    })
}

/// Why a pod ended.
fn end(pod: &PodFacts) -> (&'static str, String) {
    let message = pod.message.clone().unwrap_or_default();
    match pod.reason.as_deref() {
        Some("DeadlineExceeded") => return (reason::DEADLINE_EXCEEDED, message),
        Some("Evicted") if over_own_limit(&message) => return (reason::OUT_OF_DISK, message),
        Some("Evicted" | "Preempting" | "Preempted") => return (reason::EVICTED, message),
        Some("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated" | "NodeAffinity") => {
            return (reason::NODE_LOST, message);
        }
        _ => {}
    }
    if let ContainerFacts::Ended {
        code,
        message,
        reason: word,
        ..
    } = &pod.init
        && *code != 0
    {
        let text = format!("the agent could not be put into the pod (status {code}): {word} {message}");
        return (reason::INIT_FAILED, text.trim().to_owned());
    }
    match &pod.lab {
        ContainerFacts::Ended { reason: word, .. } if word == "OOMKilled" => (
            reason::OUT_OF_MEMORY,
            "the lab used more memory than its size has".into(),
        ),
        // the node restarted, or lost track of it: nobody saw how it ended
        ContainerFacts::Ended { reason: word, .. } if word == "ContainerStatusUnknown" || word == "Unknown" => {
            (reason::NODE_LOST, "the pod's node lost its container".into())
        }
        // the node stops a deleted pod's processes before the pod goes: whatever they said, this is why
        _ if pod.deleting.is_some() => (reason::POD_DELETED, "the pod was removed".into()),
        ContainerFacts::Ended { code: 0, .. } => (reason::COMPLETED, String::new()),
        ContainerFacts::Ended { code, message, .. } => (
            reason::AGENT_FAILED,
            format!("the agent ended with status {code} {message}")
                .trim()
                .to_owned(),
        ),
        _ => (
            reason::AGENT_FAILED,
            if message.is_empty() {
                "the pod failed".into()
            } else {
                message
            },
        ),
    }
}

/// Whether a kubelet evicted the pod for what it wrote itself, beyond its own limit, and not because the node ran short. The reason is the same
/// word for both; these are the kubelet's sentences, with names and amounts between.
fn over_own_limit(message: &str) -> bool {
    message.contains("exceeded its local ephemeral storage limit")
        || message.contains("ephemeral local storage usage exceeds the total limit")
        || (message.contains("Usage of EmptyDir volume") && message.contains("exceeds the limit"))
}

/// Validated, Provisioned, Running; each keeps the time of its last change of status.
fn conditions(
    old: &LabSandboxStatus,
    new: &LabSandboxStatus,
    observed: &Observed<'_>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let why = new.reason.clone();
    let text = new.message.clone().unwrap_or_default();
    let because = |usual: &str| (why.clone().unwrap_or_else(|| usual.to_owned()), text.clone());
    let plain = |word: &str| (word.to_owned(), String::new());
    let provisioned_before = is_true(old, "Provisioned");
    let (validated, provisioned) = match observed {
        Observed::Invalid(_) => ((false, because("")), (provisioned_before, because(""))),
        Observed::Waiting { .. } => ((true, plain("SpecValid")), (provisioned_before, because(""))),
        Observed::Pod(..) | Observed::PodDeleted => ((true, plain("SpecValid")), (true, plain("Applied"))),
    };
    let running = match new.phase {
        Phase::Running => (true, plain("AgentStarted")),
        Phase::Starting => (false, plain("Starting")),
        Phase::Pending | Phase::Gone => (false, because(new.phase.name())),
    };
    [
        ("Validated", validated),
        ("Provisioned", provisioned),
        ("Running", running),
    ]
    .into_iter()
    .map(|(type_, (holds, (reason, message)))| {
        let status = if holds { "True" } else { "False" };
        let before = old.conditions.iter().find(|c| c.type_ == type_ && c.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason,
            message,
            observed_generation: generation,
            last_transition_time: before.map_or_else(|| Time(whole_seconds(now)), |c| c.last_transition_time.clone()),
        }
    })
    .collect()
}

/// Whether a condition of the status is `True`.
pub(crate) fn is_true(status: &LabSandboxStatus, type_: &str) -> bool {
    status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::samples;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-22T10:00:05Z")
    }

    fn of(pod: &PodFacts) -> LabSandboxStatus {
        next(&samples::object(), &Observed::Pod(pod, Some("FINGERPRINT")), now())
    }

    fn running() -> PodFacts {
        PodFacts {
            phase: PodPhase::Running,
            node: Some("node-1".into()),
            ip: Some("10.0.0.7".into()),
            lab: ContainerFacts::Running {
                since: Some(at("2026-11-22T10:00:03Z")),
            },
            ..samples::pod()
        }
    }

    fn ended(code: i32, word: &str) -> PodFacts {
        PodFacts {
            phase: if code == 0 {
                PodPhase::Succeeded
            } else {
                PodPhase::Failed
            },
            lab: ContainerFacts::Ended {
                code,
                reason: word.into(),
                message: String::new(),
                at: Some(at("2026-11-22T11:00:00Z")),
            },
            ..running()
        }
    }

    fn words(status: &LabSandboxStatus) -> (Phase, Option<&str>) {
        (status.phase, status.reason.as_deref())
    }

    #[test]
    fn a_new_pod_is_starting_and_provisioned() {
        let status = of(&samples::pod());
        assert_eq!(words(&status), (Phase::Starting, None));
        assert!(is_true(&status, "Validated") && is_true(&status, "Provisioned") && !is_true(&status, "Running"));
        assert_eq!(status.certificate_sha256.as_deref(), Some("FINGERPRINT"));
    }

    #[test]
    fn a_running_agent_says_where_and_how_fast() {
        let status = of(&running());
        assert_eq!(words(&status), (Phase::Running, None));
        assert_eq!(status.ready_seconds, Some(3), "made at 10:00:00, started at 10:00:03");
        assert_eq!(
            (status.node.as_deref(), status.pod_ip.as_deref()),
            (Some("node-1"), Some("10.0.0.7"))
        );
        assert!(is_true(&status, "Running"));
    }

    #[test]
    fn what_a_pod_waits_for_has_a_word() {
        let unschedulable = PodFacts {
            unschedulable: Some("0/3 nodes are available".into()),
            ..samples::pod()
        };
        assert_eq!(words(&of(&unschedulable)), (Phase::Pending, Some("Unschedulable")));
        for (word, reason) in [
            ("ErrImagePull", Some("ImageMissing")),
            ("ImagePullBackOff", Some("ImageMissing")),
            ("CreateContainerError", Some("ContainerRefused")),
            ("ContainerCreating", None),
            ("PodInitializing", None),
        ] {
            let phase = if reason.is_some() {
                Phase::Pending
            } else {
                Phase::Starting
            };
            let waiting = ContainerFacts::Waiting(word.into(), "detail".into());
            let lab = PodFacts {
                lab: waiting.clone(),
                ..samples::pod()
            };
            assert_eq!(words(&of(&lab)), (phase, reason), "{word}");
            let init = PodFacts {
                init: waiting,
                ..samples::pod()
            };
            assert_eq!(words(&of(&init)), (phase, reason), "{word} of the init container");
        }
    }

    #[test]
    fn every_end_has_its_reason() {
        let pod_says = |reason: &str| PodFacts {
            reason: Some(reason.into()),
            ..ended(137, "Error")
        };
        let init = PodFacts {
            init: ContainerFacts::Ended {
                code: 1,
                reason: "Error".into(),
                message: String::new(),
                at: None,
            },
            lab: ContainerFacts::Waiting("PodInitializing".into(), String::new()),
            phase: PodPhase::Failed,
            ..samples::pod()
        };
        let removed = PodFacts {
            deleting: Some(now()),
            ..ended(137, "Error")
        };
        let evicted = |message: &str| PodFacts {
            message: Some(message.into()),
            ..pod_says("Evicted")
        };
        for (pod, reason) in [
            (ended(0, "Completed"), "Completed"),
            (ended(3, "Error"), "AgentFailed"),
            (ended(137, "OOMKilled"), "OutOfMemory"),
            (pod_says("DeadlineExceeded"), "DeadlineExceeded"),
            (pod_says("Evicted"), "Evicted"),
            (
                evicted("The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 90Mi. "),
                "Evicted",
            ),
            (
                evicted("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
                "OutOfDisk",
            ),
            (
                evicted("Container lab exceeded its local ephemeral storage limit \"1Gi\". "),
                "OutOfDisk",
            ),
            (
                evicted("Usage of EmptyDir volume \"lab\" exceeds the limit \"256Mi\". "),
                "OutOfDisk",
            ),
            (pod_says("NodeShutdown"), "NodeLost"),
            (ended(137, "ContainerStatusUnknown"), "NodeLost"),
            (ended(255, "Unknown"), "NodeLost"),
            (init, "InitFailed"),
            (removed, "PodDeleted"),
        ] {
            assert_eq!(words(&of(&pod)), (Phase::Gone, Some(reason)));
        }
        let oom = of(&ended(137, "OOMKilled")).exit.unwrap();
        assert!(oom.oom && oom.code == 137 && oom.at == Some(Time(at("2026-11-22T11:00:00Z"))));
    }

    #[test]
    fn a_pod_that_outlives_its_deletion_is_on_a_lost_node() {
        let mut pod = running();
        pod.deleting = Some(now() - SignedDuration::from_secs(59));
        assert_eq!(of(&pod).phase, Phase::Running, "its kubelet may still do it");
        pod.deleting = Some(now() - SignedDuration::from_secs(61));
        assert_eq!(words(&of(&pod)), (Phase::Gone, Some("NodeLost")));
    }

    #[test]
    fn a_sandbox_on_a_node_that_does_not_answer_runs_as_far_as_is_known() {
        let mut object = samples::object();
        let doubtful = PodFacts {
            node_away: true,
            ..running()
        };
        object.status = Some(of(&doubtful));
        let status = object.status.as_ref().unwrap();
        assert_eq!(words(status), (Phase::Running, Some("NodeNotReady")));
        assert!(is_true(status, "Running"), "who waits for it is not told that it ended");
        let back = next(&object, &Observed::Pod(&running(), None), now());
        assert_eq!(words(&back), (Phase::Running, None));
        assert!(worth_writing(object.status.as_ref(), &back), "and both are told");
    }

    #[test]
    fn a_sandbox_that_starts_may_have_to_wait_again_but_one_that_ran_never_does() {
        let mut object = samples::object();
        object.status = Some(of(&samples::pod()));
        assert_eq!(object.phase(), Phase::Starting);
        let unschedulable = PodFacts {
            unschedulable: Some("no room".into()),
            ..samples::pod()
        };
        let waits = next(&object, &Observed::Pod(&unschedulable, None), now());
        assert_eq!(words(&waits), (Phase::Pending, Some("Unschedulable")));
        object.status = Some(of(&running()));
        let waiting = PodFacts {
            lab: ContainerFacts::Waiting("ImagePullBackOff".into(), String::new()),
            ..samples::pod()
        };
        assert_eq!(
            next(&object, &Observed::Pod(&waiting, None), now()).phase,
            Phase::Running
        );
        let gone = next(&object, &Observed::PodDeleted, now());
        assert_eq!(words(&gone), (Phase::Gone, Some("PodDeleted")));
        object.status = Some(gone.clone());
        assert_eq!(
            next(&object, &Observed::Pod(&running(), None), now()),
            gone,
            "an end is an end"
        );
    }

    #[test]
    fn nothing_new_is_not_written_and_a_change_keeps_its_time() {
        let mut object = samples::object();
        let first = of(&samples::pod());
        assert!(worth_writing(None, &first));
        object.status = Some(first.clone());
        let later = now() + SignedDuration::from_secs(60);
        let same = next(&object, &Observed::Pod(&samples::pod(), None), later);
        assert_eq!(same, first);
        let node = PodFacts {
            node: Some("node-1".into()),
            ..samples::pod()
        };
        let on_node = next(&object, &Observed::Pod(&node, None), later);
        assert!(
            !worth_writing(object.status.as_ref(), &on_node),
            "a node alone is not worth a write"
        );
        let runs = next(&object, &Observed::Pod(&running(), None), later);
        assert!(worth_writing(object.status.as_ref(), &runs));
        let time = |s: &LabSandboxStatus, type_: &str| {
            s.conditions
                .iter()
                .find(|c| c.type_ == type_)
                .unwrap()
                .last_transition_time
                .clone()
        };
        assert_eq!(time(&runs, "Provisioned"), time(&first, "Provisioned"));
        assert_eq!(time(&runs, "Running"), Time(later));
    }

    #[test]
    fn a_spec_that_cannot_be_carried_out_says_why() {
        let status = next(&samples::object(), &Observed::Invalid("spec.user is 0".into()), now());
        assert_eq!(words(&status), (Phase::Pending, Some("InvalidSpec")));
        assert_eq!(status.message.as_deref(), Some("spec.user is 0"));
        assert!(!is_true(&status, "Validated"));
        let provisioned = status.conditions.iter().find(|c| c.type_ == "Provisioned").unwrap();
        assert_eq!(
            (provisioned.status.as_str(), provisioned.reason.as_str()),
            ("False", "InvalidSpec")
        );
    }
}
