//! What the engine has, and the hint that it changed.

use crate::{
    DockerRuntime,
    container::{LABEL_INSTALLATION, LABEL_SANDBOX, LABEL_SESSION},
    disk,
    engine::{Engine, LOOK_WITHIN},
};
use bollard::{
    errors::Error,
    models::{ContainerSummary, ContainerSummaryStateEnum as State, EventMessage},
    query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder},
};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use lab_core::{
    Timestamp,
    port::{GoneCause, RuntimeError, SandboxPhase, SandboxStatus},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Looked into at once when many sandboxes ended together: a class is over.
const INSPECTIONS_AT_ONCE: usize = 8;

/// Between tries to hear events again: the second at once is for an engine that restarts, the last for one that stays away.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// Events taken as one hint.
const EVENTS_AT_ONCE: usize = 256;

/// A subscription begins so long before now: nothing that happens between the caller's list and the engine's answer is missed,
/// even when its clock is behind ours. What is heard twice is only a hint too many.
const EVENTS_SINCE: Duration = Duration::from_mins(1);

/// What is known of containers' ends, by container id. Holds what the last list showed, no more.
#[derive(Default)]
pub(crate) struct Ends(Mutex<KnownEnds>);

#[derive(Default)]
struct KnownEnds {
    /// An end never changes (nothing is started twice), so each is looked up once.
    ended: HashMap<String, SandboxPhase>,
    /// Ended by us, for what they wrote.
    overfull: HashSet<String>,
}

impl DockerRuntime {
    pub(crate) async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&ours(&self.site.installation))
            .build();
        let found = self
            .engine
            .call("list", LOOK_WITHIN, |d| async move {
                d.list_containers(Some(options)).await
            })
            .await
            .map_err(|f| f.into_unavailable("list"))?;
        let looks: Vec<_> = found.iter().map(|c| self.status(c)).collect();
        let seen: Vec<_> = stream::iter(looks).buffered(INSPECTIONS_AT_ONCE).collect().await;
        let listed = seen.into_iter().filter_map(Result::transpose).collect();
        self.ends.keep_only(&found);
        listed
    }

    /// `None` for what went away since it was listed, and for what has our label and no sandbox's (somebody's experiment).
    async fn status(&self, c: &ContainerSummary) -> Result<Option<SandboxStatus>, RuntimeError> {
        let label = |name| c.labels.as_ref().and_then(|l| l.get(name));
        let (Some(container), Some(Ok(id)), Some(Ok(session))) = (
            c.id.as_deref(),
            label(LABEL_SANDBOX).map(|l| l.parse()),
            label(LABEL_SESSION).map(|l| l.parse()),
        ) else {
            return Ok(None);
        };
        let phase = match c.state {
            Some(State::CREATED) => SandboxPhase::Starting { waiting: None },
            Some(State::RUNNING | State::PAUSED | State::RESTARTING | State::STOPPING) => SandboxPhase::Running,
            _ => match self.end(container).await? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        Ok(Some(SandboxStatus {
            id,
            session,
            phase,
            created_at: Timestamp::from_secs(c.created.unwrap_or_default()),
            node: None,
            node_away: false,
        }))
    }

    /// How a container ended; the list does not say.
    async fn end(&self, container: &str) -> Result<Option<SandboxPhase>, RuntimeError> {
        if let Some(known) = self.ends.get(container) {
            return Ok(Some(known));
        }
        let inspected = self
            .engine
            .call("inspect", LOOK_WITHIN, |d| async move {
                d.inspect_container(container, None).await
            })
            .await;
        let state = match inspected {
            Ok(seen) => seen.state.unwrap_or_default(),
            Err(failure) if failure.status() == Some(404) => return Ok(None),
            Err(failure) => return Err(failure.into_unavailable("inspect")),
        };
        let end = SandboxPhase::Gone {
            status: state.exit_code,
            // a container that an operator stops or removes while it runs, and one whose machine restarts, cannot be told from one whose
            // agent was killed: the first such loss of a learner is unbilled in any case
            cause: if self.ends.is_overfull(container) {
                GoneCause::OutOfDisk
            } else if state.oom_killed.unwrap_or_default() {
                GoneCause::OutOfMemory
            } else {
                GoneCause::AgentEnded
            },
            at: state.finished_at.as_deref().and_then(timestamp),
        };
        self.ends.put(container, &end);
        Ok(Some(end))
    }

    /// Hints from the engine's events, and, where it has no quotas, of containers that wrote too much.
    pub(crate) fn watch(&self) -> BoxStream<'static, ()> {
        if self.site.disk_quota {
            return self.events();
        }
        let installation = self.site.installation.clone();
        let disk = disk::watch(
            self.engine.clone(),
            self.ends.clone(),
            installation,
            self.disk_look_every,
        );
        stream::select(self.events(), disk).boxed()
    }

    /// The engine's events about our containers, in batches; subscribed again, for ever, when the engine goes away.
    fn events(&self) -> BoxStream<'static, ()> {
        let engine = self.engine.clone();
        let installation = self.site.installation.clone();
        let start = Watch::Begin(RETRY_FIRST);
        Box::pin(stream::unfold(start, move |mut state| {
            let (engine, installation) = (engine.clone(), installation.clone());
            async move {
                loop {
                    state = match state {
                        Watch::Begin(retry) => {
                            if let Some(events) = events(&engine, &installation).await {
                                // What happened while nobody listened is not known: that is a hint, too.
                                return Some(((), Watch::Hear(events)));
                            }
                            tokio::time::sleep(retry).await;
                            Watch::Begin((retry * 2).min(RETRY_LAST))
                        }
                        Watch::Hear(mut events) => {
                            let heard = events.next().await.is_some_and(|batch| batch.iter().any(Result::is_ok));
                            if heard {
                                return Some(((), Watch::Hear(events)));
                            }
                            tokio::time::sleep(RETRY_FIRST).await;
                            Watch::Begin(RETRY_FIRST)
                        }
                    }
                }
            }
        }))
    }
}

type Events = BoxStream<'static, Vec<Result<EventMessage, Error>>>;

enum Watch {
    /// Subscribe; wait so long if it fails.
    Begin(Duration),
    Hear(Events),
}

async fn events(engine: &Engine, installation: &str) -> Option<Events> {
    let client = engine.client("watch").await.ok()?;
    // The request itself is made when the first event is waited for; a ping now tells whether anybody is there.
    engine
        .call("watch", LOOK_WITHIN, |d| async move { d.ping().await })
        .await
        .ok()?;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(EVENTS_SINCE);
    let mut filters = ours(installation);
    filters.insert("type".into(), vec!["container".into()]);
    filters.insert(
        "event".into(),
        ["create", "start", "die", "oom", "destroy"].map(str::to_owned).to_vec(),
    );
    let options = EventsOptionsBuilder::new()
        .since(&since.as_secs().to_string())
        .filters(&filters)
        .build();
    Some(client.events(Some(options)).ready_chunks(EVENTS_AT_ONCE).boxed())
}

pub(crate) fn ours(installation: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{LABEL_INSTALLATION}={installation}")])])
}

/// RFC 3339 with up to nine decimals; year 1 stands for never.
fn timestamp(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at.as_second() > 0).then(|| Timestamp(at.as_microsecond()))
}

impl Ends {
    fn get(&self, container: &str) -> Option<SandboxPhase> {
        self.known().ended.get(container).cloned()
    }

    fn put(&self, container: &str, end: &SandboxPhase) {
        self.known().ended.insert(container.to_owned(), end.clone());
    }

    /// It is about to be ended because it wrote too much.
    pub(crate) fn overfull(&self, container: &str) {
        self.known().overfull.insert(container.to_owned());
    }

    fn is_overfull(&self, container: &str) -> bool {
        self.known().overfull.contains(container)
    }

    fn keep_only(&self, listed: &[ContainerSummary]) {
        let is_listed = |id: &String| listed.iter().any(|c| c.id.as_ref() == Some(id));
        let mut known = self.known();
        known.ended.retain(|id, _| is_listed(id));
        known.overfull.retain(is_listed);
    }

    fn known(&self) -> MutexGuard<'_, KnownEnds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So that a watch can outlive the adapter that made it.
pub(crate) type SharedEngine = Arc<Engine>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_read() {
        assert_eq!(
            timestamp("2026-11-22T15:34:11.123456789Z"),
            Some(Timestamp(1_795_361_651_123_456))
        );
        assert_eq!(
            timestamp("2026-11-22T16:34:11+01:00"),
            Some(Timestamp(1_795_361_651_000_000))
        );
        assert_eq!(timestamp("0001-01-01T00:00:00Z"), None, "never ended");
    }
}
