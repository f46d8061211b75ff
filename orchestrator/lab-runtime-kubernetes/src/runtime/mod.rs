//! [`Runtime`] on a cluster: what `labwire serve` asks for and sees.
//!
//! ```text
//!  ensure, drop ──► objects ──create, delete──► API server (LabSandbox)
//!  list, watch  ◄── index ◄── follow (one task) ◄──watch──┘
//!  connect ──► keys (the sandbox's certificate and token) ──► dial ══ TLS ══► the pod's agent
//! ```
//! The controller makes the pods; this side only ever touches `LabSandbox` objects, and reads the Secrets it connects with. No byte of a
//! terminal goes through the API server, unless [`Connect::PortForward`] asks for it.
//!
//! What its service account needs in the sandboxes' namespace, and why:
//! | resource | verbs | why |
//! |---|---|---|
//! | `labsandboxes` (labwire.dev) | get, list, watch, create, delete | ask for sandboxes, see them, drop them |
//! | `secrets` | get | certificate and token of each agent |
//! | `pods/portforward` | get, create | only with [`Connect::PortForward`] |

mod dial;
mod error;
mod follow;
mod index;
mod keys;
mod objects;
mod pin;

use self::{
    dial::Dialer,
    error::unavailable,
    index::{Index, Seen},
    keys::Keys,
    objects::Objects,
};
use crate::requests::counted;
use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use kube::{Client, Config};
use lab_core::{
    SandboxId,
    port::{ByteStream, Runtime, RuntimeError, SandboxPhase, SandboxSpec, SandboxStatus},
};
use prometheus::Registry;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A question to the API server is given up after so long: a busy one answers within a second.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Silence after which a watch's connection counts as dead: API servers send a bookmark about every 60 s.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// A watch that told nothing for so long is asked about: else a lost network would look like a quiet one.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// How long a list waits for the watch to be whole: the first LIST of 2,500 sandboxes takes about a second.
const WHOLE_WITHIN: Duration = Duration::from_secs(5);
/// A connection waits so long for a sandbox to run, which is less than its caller waits for the connection (10 s).
const RUNS_WITHIN: Duration = Duration::from_secs(8);

/// How agents are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connect {
    /// At the pod's address: inside the cluster, or where pods are routed to.
    #[default]
    Pod,
    /// Through the API server: from outside. Every terminal byte passes it.
    PortForward,
}

impl Connect {
    /// As the settings say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::PortForward => "port-forward",
        }
    }
}

/// Which sandboxes, and how they are reached.
#[derive(Clone, Debug)]
pub struct KubernetesOptions {
    /// Only objects with this label are listed or touched.
    pub installation: String,
    /// Where the `LabSandbox` objects are.
    pub namespace: String,
    pub connect: Connect,
}

/// See the module's doc. Its one task ends with it; [`KubernetesRuntime::close`] also waits for that.
pub struct KubernetesRuntime {
    client: Client,
    index: Arc<Index>,
    objects: Objects,
    keys: Keys,
    dialer: Dialer,
    follower: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl KubernetesRuntime {
    /// The cluster of `KUBECONFIG`, `~/.kube/config` or the pod we are in, its requests counted in `registry`. The cluster is not asked
    /// yet.
    ///
    /// # Errors
    /// There is no such configuration, or it cannot be used.
    pub async fn open(options: KubernetesOptions, registry: &Registry) -> Result<Self, RuntimeError> {
        let failed = "configuration";
        let inferred = Config::infer().await.map_err(kube::Error::InferConfig);
        let mut config = inferred.map_err(unavailable(failed))?;
        config.read_timeout = Some(SILENCE_MAX);
        // the reconciler tries again, and knows how long it has been trying
        config.default_retry = false;
        let client = Client::try_from(config).map_err(unavailable(failed))?;
        let client = counted(client, registry).map_err(|e| RuntimeError::Unavailable {
            operation: failed,
            source: e.into(),
        })?;
        Ok(Self::new(&client, &options))
    }

    /// By a client of ours; call it where tokio runs, as the watch begins at once.
    pub fn new(client: &Client, options: &KubernetesOptions) -> Self {
        let index = Arc::new(Index::default());
        let stop = CancellationToken::new();
        let objects = Objects::new(client, options, Arc::clone(&index));
        let follower = tokio::spawn(follow::run(objects.watched(), Arc::clone(&index), stop.clone()));
        Self {
            keys: Keys::new(client, &options.namespace),
            dialer: Dialer::new(client, options),
            objects,
            index,
            client: client.clone(),
            follower: Mutex::new(Some(follower)),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Ends the watch, and returns when it has ended. Sandboxes go on.
    pub async fn close(&self) {
        self.stop.cancel();
        let follower = self.follower.lock().expect("no holder panics").take();
        if let Some(follower) = follower {
            // why the result is dropped: a watch that panicked was logged by the panic, and is over
            let _ = follower.await;
        }
    }

    /// How many objects there are, those included that were dropped and that the controller has not taken down yet.
    ///
    /// # Errors
    /// As for `sandbox_list`.
    pub async fn count(&self) -> Result<usize, RuntimeError> {
        self.seen().await?;
        Ok(self.index.count())
    }

    /// What the watch has shown, once that is everything and the API server is known to be there.
    async fn seen(&self) -> Result<(), RuntimeError> {
        self.index.whole(WHOLE_WITHIN).await?;
        if self.index.quiet() > QUIET_MAX {
            self.version().await?;
            self.index.heard();
        }
        Ok(())
    }

    async fn version(&self) -> Result<String, RuntimeError> {
        let asked = self.client.apiserver_version();
        let version = error::within("version", asked).await?;
        Ok(version.git_version)
    }

    /// The sandbox once it runs, for as long as it is worth waiting.
    async fn running(&self, id: SandboxId) -> Result<Seen, RuntimeError> {
        let found = self.index.wait(id, RUNS_WITHIN, |seen| {
            seen.is_none_or(|s| s.deleting || !matches!(s.phase, SandboxPhase::Starting { .. }))
        });
        match found.await {
            Some(seen) if seen.deleting => Err(RuntimeError::NotFound { id }),
            Some(seen) => match &seen.phase {
                SandboxPhase::Running => Ok(seen),
                SandboxPhase::Gone { .. } => Err(RuntimeError::NotFound { id }),
                SandboxPhase::Starting { waiting } => {
                    let why = waiting.as_ref().map_or("it is being started", |w| w.reason.code());
                    Err(RuntimeError::AgentUnreachable {
                        id,
                        source: format!("the pod does not run yet: {why}").into(),
                    })
                }
            },
            None => Err(RuntimeError::NotFound { id }),
        }
    }
}

#[async_trait]
impl Runtime for KubernetesRuntime {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    async fn sandbox_ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        self.objects.ensure(spec).await
    }

    async fn sandbox_drop(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.keys.forget(id);
        self.objects.drop_sandbox(id).await
    }

    async fn sandbox_list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        self.seen().await?;
        let list = self.index.list();
        self.keys.keep_only(&list);
        Ok(list)
    }

    fn sandbox_watch(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.index.subscribe(), |mut changed| async move {
            changed.changed().await.ok().map(|()| ((), changed))
        })
        .boxed()
    }

    async fn connect(&self, id: SandboxId) -> Result<Box<dyn ByteStream>, RuntimeError> {
        self.index.whole(WHOLE_WITHIN).await?;
        let seen = self.running(id).await?;
        let door = self.keys.of(id, &seen).await?;
        self.dialer.dial(id, &seen, &door).await
    }

    async fn health(&self) -> Result<String, RuntimeError> {
        let version = self.version().await?;
        self.index.whole(WHOLE_WITHIN).await?;
        Ok(format!("Kubernetes {version}, namespace {}", self.objects.namespace()))
    }

    /// Nodes fetch what they miss; whether they can is known when a pod asks (`ImageMissing` in its status).
    async fn image_present(&self, _image: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }
}
