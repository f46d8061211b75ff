//! What the watch has shown, in the few words that the port needs of it.

use super::objects::Lean;
use crate::api::{LabSandboxStatus, Phase, reason};
use kube::runtime::watcher::Event;
use lab_core::{
    SandboxId, SessionId, Timestamp,
    port::{GoneCause, RuntimeError, SandboxPhase, SandboxStatus, WaitReason, Waiting},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// One sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Tells one object from another of the same name.
    pub uid: String,
    pub session: SessionId,
    pub created_at: Timestamp,
    pub phase: SandboxPhase,
    pub node: Option<String>,
    pub node_away: bool,
    pub pod_ip: Option<String>,
    /// Hex SHA-256 of the agent's certificate.
    pub certificate: Option<String>,
    /// Dropped; what is left of it is being removed.
    pub deleting: bool,
}

/// See the module's doc.
pub(crate) struct Index {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

struct State {
    sandboxes: HashMap<SandboxId, Seen>,
    /// What a LIST under way has shown so far; it replaces the above when it is complete.
    listing: Option<HashMap<SandboxId, Seen>>,
    /// A LIST was complete since the start.
    synced: bool,
    /// Why the watch does not run, when it does not.
    broken: Option<String>,
    heard: Instant,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                sandboxes: HashMap::new(),
                listing: None,
                synced: false,
                broken: None,
                heard: Instant::now(),
            }),
            changed: watch::Sender::new(0),
        }
    }
}

impl Index {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Takes in what the watch shows.
    pub fn take(&self, event: Event<Lean>) {
        let mut state = self.state();
        state.heard = Instant::now();
        state.broken = None;
        match event {
            Event::Init => state.listing = Some(HashMap::new()),
            Event::InitApply(object) => {
                if let (Some((id, seen)), Some(listing)) = (seen(&object), state.listing.as_mut()) {
                    listing.insert(id, seen);
                }
            }
            Event::InitDone => {
                state.sandboxes = state.listing.take().unwrap_or_default();
                state.synced = true;
            }
            Event::Apply(object) => {
                if let Some((id, seen)) = seen(&object) {
                    state.sandboxes.insert(id, seen);
                }
            }
            Event::Delete(object) => {
                if let Some((id, gone)) = seen(&object)
                    && state.sandboxes.get(&id).is_some_and(|s| s.uid == gone.uid)
                {
                    state.sandboxes.remove(&id);
                }
            }
        }
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    /// The watch does not run.
    pub fn broke(&self, why: String) {
        self.state().broken = Some(why);
        self.changed.send_modify(|n| *n += 1);
    }

    /// Time since the API server was last known to be there.
    pub fn quiet(&self) -> Duration {
        self.state().heard.elapsed()
    }

    /// It is there.
    pub fn heard(&self) {
        self.state().heard = Instant::now();
    }

    /// Wakes when anything changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until everything is known.
    pub async fn whole(&self, most: Duration) -> Result<(), RuntimeError> {
        let mut changed = self.subscribe();
        let whole = async {
            loop {
                {
                    let state = self.state();
                    if state.synced && state.broken.is_none() {
                        return;
                    }
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(most, whole).await.is_ok() {
            return Ok(());
        }
        let why = self.state().broken.clone();
        Err(RuntimeError::Unavailable {
            operation: "watch",
            source: why.unwrap_or_else(|| "the sandboxes were not listed yet".into()).into(),
        })
    }

    /// Waits until this is so of a sandbox, and returns it; after `most`, as it is then.
    pub async fn wait(&self, id: SandboxId, most: Duration, so: impl Fn(Option<&Seen>) -> bool) -> Option<Seen> {
        let mut changed = self.subscribe();
        let wanted = async {
            loop {
                if so(self.state().sandboxes.get(&id)) {
                    return;
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // why the result is dropped: the caller looks at what there is
        let _ = timeout(most, wanted).await;
        self.get(id)
    }

    pub fn get(&self, id: SandboxId) -> Option<Seen> {
        self.state().sandboxes.get(&id).cloned()
    }

    /// Every sandbox that nobody dropped.
    pub fn list(&self) -> Vec<SandboxStatus> {
        let state = self.state();
        let kept = state.sandboxes.iter().filter(|(_, s)| !s.deleting);
        kept.map(|(id, s)| SandboxStatus {
            id: *id,
            session: s.session,
            phase: s.phase.clone(),
            created_at: s.created_at,
            node: s.node.clone(),
            node_away: s.node_away,
        })
        .collect()
    }

    /// How many there are, those that are being removed included.
    pub fn count(&self) -> usize {
        self.state().sandboxes.len()
    }
}

/// An object's few words; none for one that is not a sandbox of ours whatever its label says.
fn seen(object: &Lean) -> Option<(SandboxId, Seen)> {
    let id = object.spec.sandbox.parse().ok()?;
    let meta = &object.metadata;
    let status = object.status.as_ref();
    let seen = Seen {
        uid: meta.uid.clone()?,
        session: object.spec.session.parse().ok()?,
        created_at: meta
            .creation_timestamp
            .as_ref()
            .map(|t| timestamp(t.0))
            .unwrap_or_default(),
        phase: status.map_or(SandboxPhase::Starting { waiting: None }, phase),
        node: status.and_then(|s| s.node.clone()),
        node_away: status.is_some_and(|s| s.reason.as_deref() == Some(reason::NODE_NOT_READY)),
        pod_ip: status.and_then(|s| s.pod_ip.clone()),
        certificate: status.and_then(|s| s.certificate_sha256.clone()),
        deleting: meta.deletion_timestamp.is_some(),
    };
    Some((id, seen))
}

fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp(at.as_microsecond())
}

/// The port's phase of the resource's.
fn phase(status: &LabSandboxStatus) -> SandboxPhase {
    match status.phase {
        // a pod that has a node may still lack its image: the reason counts, in either phase
        Phase::Pending | Phase::Starting => SandboxPhase::Starting {
            waiting: waiting(status),
        },
        Phase::Running => SandboxPhase::Running,
        Phase::Gone => SandboxPhase::Gone {
            status: status.exit.as_ref().map(|e| i64::from(e.code)),
            cause: cause(status),
            at: status
                .exit
                .as_ref()
                .and_then(|e| e.at.as_ref())
                .map(|at| timestamp(at.0)),
        },
    }
}

/// What ended it. Whatever is not known to be the doing of what ran inside is the platform's.
fn cause(status: &LabSandboxStatus) -> GoneCause {
    match status.reason.as_deref() {
        Some(reason::OUT_OF_MEMORY) => GoneCause::OutOfMemory,
        Some(reason::OUT_OF_DISK) => GoneCause::OutOfDisk,
        // a pod that failed without its container ever ending was not failed from inside
        Some(reason::AGENT_FAILED | reason::COMPLETED) if status.exit.is_some() => GoneCause::AgentEnded,
        _ => GoneCause::Taken,
    }
}

/// What a sandbox that does not run waits for, where the controller said so.
fn waiting(status: &LabSandboxStatus) -> Option<Waiting> {
    let reason = match status.reason.as_deref()? {
        reason::UNSCHEDULABLE => WaitReason::Capacity,
        reason::QUOTA_EXCEEDED => WaitReason::Quota,
        reason::IMAGE_MISSING => WaitReason::Image,
        reason::INVALID_SPEC | reason::REFUSED | reason::CONTAINER_REFUSED => WaitReason::Refused,
        _ => return None,
    };
    let detail = status.message.clone().unwrap_or_default();
    Some(Waiting { reason, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(id: u128, uid: &str, status: &serde_json::Value) -> Lean {
        let sandbox = uuid::Uuid::from_u128(id).to_string();
        serde_json::from_value(json!({
            "apiVersion": "labwire.dev/v1alpha1", "kind": "LabSandbox",
            "metadata": {"name": format!("lsb-{sandbox}"), "uid": uid, "creationTimestamp": "2026-11-22T10:00:00Z"},
            "spec": {"sandbox": sandbox, "session": sandbox, "agent": "{}", "lab": "x"},
            "status": status,
        }))
        .unwrap()
    }

    fn id(id: u128) -> SandboxId {
        SandboxId(uuid::Uuid::from_u128(id))
    }

    #[test]
    fn every_reason_to_wait_is_told_apart_from_being_started() {
        let words = [
            (reason::UNSCHEDULABLE, Some(WaitReason::Capacity)),
            (reason::QUOTA_EXCEEDED, Some(WaitReason::Quota)),
            (reason::IMAGE_MISSING, Some(WaitReason::Image)),
            (reason::INVALID_SPEC, Some(WaitReason::Refused)),
            ("SomethingNew", None),
        ];
        for (word, expected) in words {
            for phase in ["Pending", "Starting"] {
                let (_, seen) = seen(&object(1, "a", &json!({"phase": phase, "reason": word}))).unwrap();
                let SandboxPhase::Starting { waiting } = seen.phase else {
                    panic!("{word}: {:?}", seen.phase)
                };
                assert_eq!(waiting.map(|w| w.reason), expected, "{word}");
            }
        }
    }

    #[test]
    fn an_end_keeps_its_status_and_time() {
        let exit = json!({"code": 137, "oom": false, "at": "2026-11-22T10:00:05Z"});
        let (_, seen) = seen(&object(
            1,
            "a",
            &json!({"phase": "Gone", "reason": "AgentFailed", "exit": exit}),
        ))
        .unwrap();
        let at = Some(Timestamp(seen.created_at.0 + 5_000_000));
        assert_eq!(
            seen.phase,
            SandboxPhase::Gone {
                status: Some(137),
                cause: GoneCause::AgentEnded,
                at
            }
        );
    }

    #[test]
    fn only_what_can_be_done_from_inside_is_told_as_such() {
        let exit = json!({"code": 137, "oom": false, "at": "2026-11-22T10:00:05Z"});
        for (word, expected) in [
            (reason::OUT_OF_MEMORY, GoneCause::OutOfMemory),
            (reason::OUT_OF_DISK, GoneCause::OutOfDisk),
            (reason::AGENT_FAILED, GoneCause::AgentEnded),
            (reason::COMPLETED, GoneCause::AgentEnded),
            (reason::EVICTED, GoneCause::Taken),
            (reason::NODE_LOST, GoneCause::Taken),
            (reason::POD_DELETED, GoneCause::Taken),
            (reason::DEADLINE_EXCEEDED, GoneCause::Taken),
            ("SomethingNew", GoneCause::Taken),
        ] {
            let (_, seen) = seen(&object(1, "a", &json!({"phase": "Gone", "reason": word, "exit": exit}))).unwrap();
            let SandboxPhase::Gone { cause, .. } = seen.phase else {
                panic!("{word}: {:?}", seen.phase)
            };
            assert_eq!(cause, expected, "{word}");
        }
        let (_, seen) = seen(&object(1, "a", &json!({"phase": "Gone", "reason": "AgentFailed"}))).unwrap();
        assert!(
            matches!(
                seen.phase,
                SandboxPhase::Gone {
                    cause: GoneCause::Taken,
                    ..
                }
            ),
            "its container never ran"
        );
    }

    #[tokio::test]
    async fn a_list_under_way_replaces_what_is_known_only_when_it_is_complete() {
        let index = Index::default();
        assert!(
            index.whole(Duration::from_millis(1)).await.is_err(),
            "nothing was listed yet"
        );
        for event in [
            Event::Init,
            Event::InitApply(object(1, "a", &json!(null))),
            Event::InitDone,
        ] {
            index.take(event);
        }
        index.whole(Duration::from_millis(1)).await.unwrap();
        index.take(Event::Init);
        index.take(Event::InitApply(object(2, "b", &json!(null))));
        assert!(index.get(id(1)).is_some() && index.get(id(2)).is_none());
        index.take(Event::InitDone);
        assert!(index.get(id(1)).is_none() && index.get(id(2)).is_some());
    }

    #[tokio::test]
    async fn while_the_watch_is_broken_nothing_is_claimed() {
        let index = Index::default();
        index.take(Event::Init);
        index.take(Event::InitDone);
        index.broke("connection refused".into());
        let refused = index.whole(Duration::from_millis(1)).await.unwrap_err();
        assert!(
            std::error::Error::source(&refused)
                .unwrap()
                .to_string()
                .contains("connection refused")
        );
        index.take(Event::Apply(object(1, "a", &json!(null))));
        index.whole(Duration::from_millis(1)).await.unwrap();
    }

    #[test]
    fn a_late_farewell_does_not_remove_a_new_object_of_the_same_name() {
        let index = Index::default();
        index.take(Event::Apply(object(1, "new", &json!(null))));
        index.take(Event::Delete(object(1, "old", &json!(null))));
        assert!(index.get(id(1)).is_some());
        index.take(Event::Delete(object(1, "new", &json!(null))));
        assert!(index.get(id(1)).is_none());
    }
}
