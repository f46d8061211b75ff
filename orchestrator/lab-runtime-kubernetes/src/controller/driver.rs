//! While we lead: watches in, looks out. One task owns the world and the queue; looks are futures of the same task, so nothing is shared and
//! nothing goes on when it ends.
//!
//! ```text
//!  watch LabSandbox ┐                        ┌─ look ─┐
//!  watch Pod        ├──► world ──► queue ──► ├─ look ─┤ at most `concurrency`, one per object
//!  watch Policy     ┘       ▲                └─ look ─┘
//!                           └── what it learned ──┘
//! ```

use super::{
    error::ControllerError,
    pod_view::{PodFacts, PodView},
    queue::{Done, Key, Queue},
    reconcile::{Context, Known, Next, reconcile},
    world::{Touch, World},
};
use crate::api::{LABEL_INSTALLATION, LabSandbox};
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, select_all},
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Api, Client, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        utils::{Backoff, ResetTimerBackoff},
        watcher::{self, Event, watcher},
    },
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Objects of a page of a first list: 500 sandboxes with a lab file each are 10 MB.
const PAGE: u32 = 250;

/// A broken watch is begun again after this, then after twice as long each time, ...
const REWATCH_MIN: Duration = Duration::from_millis(200);
/// ... to this: an API server that comes back is noticed within it.
const REWATCH_MAX: Duration = Duration::from_secs(5);
/// One that held for so long counts as well again. A list that works while its watch breaks must not make a loop of lists.
const REWATCH_CALM: Duration = Duration::from_secs(30);

/// Phases and depths are counted so often; 2,500 entries take 50 µs.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Looks under way get this long to end when we are asked to stop: a look is some six requests.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// What a watch says. One at a time, taken apart at once: boxing the large ones would only cost.
#[expect(clippy::large_enum_variant, reason = "see above")]
enum Sight {
    Object(Event<LabSandbox>),
    Pod(Event<PodView>),
    Policy(Event<PartialObjectMeta<NetworkPolicy>>),
}

/// One ended look.
struct Looked {
    key: Key,
    known: Known,
    took: Duration,
    /// It made something that is not made again.
    progressed: bool,
    result: Result<Next, ControllerError>,
}

/// Everything that is there only while we lead.
pub(crate) struct Driver<'a> {
    context: &'a Context,
    world: World,
    queue: Queue,
    looks: FuturesUnordered<BoxFuture<'a, Looked>>,
    listings: [Listing; 3],
}

/// A complete list that is coming in.
#[derive(Default)]
struct Listing {
    /// Names so far.
    names: HashSet<Key>,
    /// One has been complete.
    synced: bool,
}

impl<'a> Driver<'a> {
    pub fn new(context: &'a Context) -> Self {
        Self {
            context,
            world: World::default(),
            queue: Queue::default(),
            looks: FuturesUnordered::new(),
            listings: Default::default(),
        }
    }

    /// Works until `stop`, then ends the looks under way. `synced` is called once, when the first lists are complete.
    pub async fn run(mut self, client: &Client, stop: &CancellationToken, synced: impl Fn()) {
        let mut sights = sights(client, self.context);
        let mut count = tokio::time::interval(COUNT_EVERY);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            if self.synced() {
                if !told {
                    synced();
                    told = true;
                }
                self.begin_looks();
            }
            let due = self.queue.next_due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(looked) = self.looks.next() => self.end_look(looked),
                Some(sight) = sights.next() => self.see(sight),
                () = sleep_until(due) => {}
                _ = count.tick() => self.count(),
            }
        }
        drop(sights);
        let rest = async { while self.looks.next().await.is_some() {} };
        if tokio::time::timeout(FINISH_WITHIN, rest).await.is_err() {
            tracing::warn!("looks under way were cut off; who leads next goes on from there");
        }
    }

    fn synced(&self) -> bool {
        self.listings.iter().all(|l| l.synced)
    }

    fn begin_looks(&mut self) {
        while self.looks.len() < self.context.settings.concurrency.max(1) {
            let Some(key) = self.queue.take(Instant::now()) else {
                break;
            };
            let mut known = self.world.known(&key);
            let context = self.context;
            let look = async move {
                let begun = Instant::now();
                let before = known.progress();
                let result = reconcile(context, &mut known).await;
                Looked {
                    key,
                    progressed: known.progress() != before,
                    known,
                    took: begun.elapsed(),
                    result,
                }
            };
            self.looks.push(look.boxed());
        }
        let (now, later) = self.queue.depth();
        self.context.metrics.queue(now, later);
    }

    fn end_look(&mut self, looked: Looked) {
        let Looked {
            key,
            known,
            took,
            progressed,
            result,
        } = looked;
        self.world.learned(&key, known);
        self.context.metrics.reconciled(took, result.as_ref().err());
        let done = match result {
            Ok(None) => Done::Settled,
            Ok(Some(after)) => Done::After(after),
            Err(error) => {
                if progressed {
                    self.queue.forgive(&key);
                }
                let failures = self.queue.failures(&key);
                let wait = error.backoff(failures);
                tracing::warn!(sandbox = %key, code = error.code(), %error, failures, ?wait, "a sandbox waits");
                Done::Failed {
                    wait,
                    quota: matches!(error, ControllerError::Quota { .. }),
                }
            }
        };
        self.queue.done(&key, done, Instant::now());
    }

    fn count(&self) {
        self.context.metrics.phases(self.world.phases());
    }

    fn touch(&mut self, (key, touch): (Key, Touch)) {
        match touch {
            Touch::Nothing => {}
            Touch::Changed => self.queue.touch(&key),
            Touch::Afresh => self.queue.touch_afresh(&key),
            Touch::PodGone => {
                self.queue.touch(&key);
                self.queue.place_freed();
            }
        }
    }

    fn see(&mut self, sight: Sight) {
        match sight {
            Sight::Object(event) => match event {
                Event::Init => self.listings[0].names.clear(),
                Event::InitApply(object) | Event::Apply(object) => {
                    let (key, touch) = self.world.object_seen(object);
                    self.listings[0].listed(&key);
                    self.touch((key, touch));
                }
                Event::Delete(object) => self.world.object_gone(&object.name_any()),
                Event::InitDone => {
                    for key in self.listings[0].missing(&self.world.names(|k| k.object.is_some())) {
                        self.world.object_gone(&key);
                    }
                }
            },
            Sight::Pod(event) => match event {
                Event::Init => self.listings[1].names.clear(),
                Event::InitApply(view) | Event::Apply(view) => {
                    let name = view.name_any();
                    let (key, touch) = self.world.pod_seen(&name, PodFacts::of(view));
                    self.listings[1].listed(&key);
                    self.touch((key, touch));
                }
                Event::Delete(view) => {
                    let gone = self.world.pod_gone(&view.name_any());
                    self.touch(gone);
                }
                Event::InitDone => {
                    for key in self.listings[1].missing(&self.world.names(|k| k.pod.is_some())) {
                        let gone = self.world.pod_gone(&key);
                        self.touch(gone);
                    }
                }
            },
            Sight::Policy(event) => match event {
                Event::Init => self.listings[2].names.clear(),
                Event::InitApply(policy) | Event::Apply(policy) => {
                    let key = self.world.key(&policy.name_any());
                    self.world.policy_seen(&key);
                    self.listings[2].listed(&key);
                }
                Event::Delete(policy) => {
                    let gone = self.world.policy_gone(&policy.name_any());
                    self.touch(gone);
                }
                Event::InitDone => {
                    for key in self.listings[2].missing(&self.world.names(|k| k.policy)) {
                        let gone = self.world.policy_gone(&key);
                        self.touch(gone);
                    }
                }
            },
        }
    }
}

impl Listing {
    fn listed(&mut self, key: &Key) {
        self.names.insert(Arc::clone(key));
    }

    /// Of `known`, what the complete list does not have. What is seen between two lists is kept too: it is in the next one, or gone.
    fn missing(&mut self, known: &HashSet<Key>) -> Vec<Key> {
        self.synced = true;
        let listed = std::mem::take(&mut self.names);
        known.difference(&listed).cloned().collect()
    }
}

/// The three watches, each begun again with a growing wait when it breaks. Only objects of this installation.
fn sights(client: &Client, context: &Context) -> BoxStream<'static, Sight> {
    let namespace = context.settings.namespace.as_str();
    let config = watcher::Config::default()
        .labels(&format!("{LABEL_INSTALLATION}={}", context.settings.installation))
        .page_size(PAGE);
    let backoff = || ResetTimerBackoff::new(Rewatch::default(), REWATCH_CALM);
    let broke = |resource: &'static str| {
        let metrics = Arc::clone(&context.metrics);
        move |error: watcher::Error| {
            metrics.watch_broke(resource);
            tracing::warn!(resource, %error, "a watch broke; it begins again");
        }
    };
    let (broken_objects, broken_pods, broken_policies) =
        (broke("labsandboxes"), broke("pods"), broke("networkpolicies"));
    let objects = watcher(Api::<LabSandbox>::namespaced(client.clone(), namespace), config.clone())
        .backoff(backoff())
        .filter_map(move |e| std::future::ready(e.map_err(&broken_objects).ok().map(Sight::Object)));
    let pods = watcher(Api::<PodView>::namespaced(client.clone(), namespace), config.clone())
        .backoff(backoff())
        .filter_map(move |e| std::future::ready(e.map_err(&broken_pods).ok().map(Sight::Pod)));
    let policies = Api::<PartialObjectMeta<NetworkPolicy>>::namespaced(client.clone(), namespace);
    let policies = watcher(policies, config)
        .backoff(backoff())
        .filter_map(move |e| std::future::ready(e.map_err(&broken_policies).ok().map(Sight::Policy)));
    select_all([objects.boxed(), pods.boxed(), policies.boxed()]).boxed()
}

/// Waits between tries to watch.
#[derive(Default)]
struct Rewatch {
    tries: u32,
}

impl Iterator for Rewatch {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = REWATCH_MIN * 2u32.pow(self.tries.min(8));
        self.tries += 1;
        Some(wait.min(REWATCH_MAX))
    }
}

impl Backoff for Rewatch {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
