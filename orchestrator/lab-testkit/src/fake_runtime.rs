//! Sandboxes in memory: each is a [`FakeAgent`], reached over in-process pipes.

use crate::{
    fake_agent::FakeAgent,
    faults::{Faults, Planned, Strike},
};
use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use lab_core::{
    SandboxId, Timestamp,
    journal::LabEvent,
    port::{ByteStream, Clock, GoneCause, Runtime, RuntimeError, SandboxPhase, SandboxSpec, SandboxStatus, Waiting},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;
use tokio_util::{
    compat::TokioAsyncReadCompatExt,
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Bytes in a pipe to an agent: what a socket buffer would hold.
const PIPE_BYTES: usize = 256 * 1024;

/// What a new sandbox's lab does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// Shows a prompt in each terminal and is ready.
    #[default]
    Ready,
    /// Nothing: the test says what happens.
    Manual,
}

struct Sandbox {
    spec: SandboxSpec,
    phase: SandboxPhase,
    created_at: Timestamp,
    node: Option<String>,
    node_away: bool,
    agent: Arc<FakeAgent>,
}

/// See the module's doc. Operations for [`Faults`] carry the method's name.
pub struct FakeRuntime {
    pub faults: Faults,
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
    sandboxes: Arc<Mutex<BTreeMap<SandboxId, Sandbox>>>,
    images_missing: Mutex<HashSet<String>>,
    changed: Arc<watch::Sender<u64>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl FakeRuntime {
    /// No sandboxes yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let stop = CancellationToken::new();
        Self {
            faults: Faults::default(),
            clock,
            script: Mutex::default(),
            sandboxes: Arc::default(),
            images_missing: Mutex::default(),
            changed: Arc::new(watch::Sender::new(0)),
            tasks: TaskTracker::new(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// What sandboxes made from now on do.
    pub fn set_script(&self, script: Script) {
        *self.script.lock().expect("no holder panics") = script;
    }

    /// This image is not on the engine.
    pub fn miss_image(&self, image: &str) {
        self.images_missing
            .lock()
            .expect("no holder panics")
            .insert(image.to_owned());
    }

    /// The agent of a sandbox.
    pub fn agent(&self, id: SandboxId) -> Option<Arc<FakeAgent>> {
        self.sandboxes().get(&id).map(|s| s.agent.clone())
    }

    /// What a sandbox was made of.
    pub fn spec(&self, id: SandboxId) -> Option<SandboxSpec> {
        self.sandboxes().get(&id).map(|s| s.spec.clone())
    }

    /// The sandbox's processes are gone; it stays in the list, as an ended container does.
    pub fn lose(&self, id: SandboxId, status: Option<i64>, cause: GoneCause) {
        let at = Some(self.clock.now());
        if let Some(s) = self.sandboxes().get_mut(&id) {
            s.phase = SandboxPhase::Gone { status, cause, at };
            s.agent.cut_connections();
        }
        self.changed.send_modify(|n| *n += 1);
    }

    /// The sandbox does not run yet, and why; [`FakeRuntime::runs`] ends that.
    pub fn waits(&self, id: SandboxId, waiting: Option<Waiting>) {
        self.set_phase(id, SandboxPhase::Starting { waiting });
    }

    /// The sandbox runs.
    pub fn runs(&self, id: SandboxId) {
        self.set_phase(id, SandboxPhase::Running);
    }

    /// The sandbox is on this machine.
    pub fn place(&self, id: SandboxId, node: &str) {
        if let Some(s) = self.sandboxes().get_mut(&id) {
            s.node = Some(node.to_owned());
        }
    }

    /// The sandbox's machine answers nobody.
    pub fn node_goes_away(&self, id: SandboxId) {
        if let Some(s) = self.sandboxes().get_mut(&id) {
            s.node_away = true;
        }
        self.changed.send_modify(|n| *n += 1);
    }

    fn set_phase(&self, id: SandboxId, phase: SandboxPhase) {
        if let Some(s) = self.sandboxes().get_mut(&id) {
            s.phase = phase;
        }
        self.changed.send_modify(|n| *n += 1);
    }

    /// The sandbox is gone without a trace.
    pub fn vanish(&self, id: SandboxId) {
        if let Some(s) = self.sandboxes().remove(&id) {
            s.agent.cut_connections();
        }
        self.changed.send_modify(|n| *n += 1);
    }

    fn sandboxes(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Sandbox>> {
        self.sandboxes.lock().expect("no holder panics")
    }

    fn run<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let failed = || RuntimeError::Unavailable {
            operation,
            source: Box::new(Planned),
        };
        match self.faults.strike(operation) {
            Some(Strike::Before) => Err(failed()),
            Some(Strike::After) => work().and_then(|_| Err(failed())),
            None => work(),
        }
    }

    fn make(&self, spec: &SandboxSpec) {
        let agent = FakeAgent::new(&spec.agent, self.clock.clone());
        if *self.script.lock().expect("no holder panics") == Script::Ready {
            agent.lab(LabEvent::Progress {
                step: "the lab starts".into(),
            });
            for (index, t) in spec.agent.terminals.iter().enumerate() {
                agent.output(index as u16, format!("{}# ", t.id).as_bytes());
            }
            agent.lab(LabEvent::Ready);
        }
        let sandbox = Sandbox {
            spec: spec.clone(),
            phase: SandboxPhase::Running,
            created_at: self.clock.now(),
            node: None,
            node_away: false,
            agent: agent.clone(),
        };
        self.sandboxes().insert(spec.id, sandbox);
        let (id, all, changed) = (spec.id, self.sandboxes.clone(), self.changed.clone());
        let (clock, stop) = (self.clock.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = agent.exited() => {}
                () = stop.cancelled() => return,
            }
            if let Some(s) = all.lock().expect("no holder panics").get_mut(&id) {
                s.phase = SandboxPhase::Gone {
                    status: Some(0),
                    cause: GoneCause::AgentEnded,
                    at: Some(clock.now()),
                };
            }
            changed.send_modify(|n| *n += 1);
        });
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn sandbox_ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        self.run("sandbox_ensure", || {
            if self
                .images_missing
                .lock()
                .expect("no holder panics")
                .contains(&spec.image)
            {
                return Err(RuntimeError::ImageMissing {
                    image: spec.image.clone(),
                });
            }
            if self.agent(spec.id).is_none() {
                self.make(spec);
                self.changed.send_modify(|n| *n += 1);
            }
            Ok(())
        })
    }

    async fn sandbox_drop(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.run("sandbox_drop", || {
            self.vanish(id);
            Ok(())
        })
    }

    async fn sandbox_list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        self.run("sandbox_list", || {
            let status = |s: &Sandbox| SandboxStatus {
                id: s.spec.id,
                session: s.spec.session,
                phase: s.phase.clone(),
                created_at: s.created_at,
                node: s.node.clone(),
                node_away: s.node_away,
            };
            Ok(self.sandboxes().values().map(status).collect())
        })
    }

    fn sandbox_watch(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.changed.subscribe(), |mut seen| async move {
            seen.changed().await.ok().map(|()| ((), seen))
        })
        .boxed()
    }

    async fn connect(&self, id: SandboxId) -> Result<Box<dyn ByteStream>, RuntimeError> {
        self.run("connect", || {
            let all = self.sandboxes();
            let sandbox = all.get(&id).ok_or(RuntimeError::NotFound { id })?;
            if sandbox.phase != SandboxPhase::Running {
                return Err(RuntimeError::AgentUnreachable {
                    id,
                    source: Box::new(Planned),
                });
            }
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let (agent, stop) = (sandbox.agent.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = agent.serve(theirs) => {}
                    () = stop.cancelled() => {}
                }
            });
            Ok(Box::new(ours.compat()) as Box<dyn ByteStream>)
        })
    }

    async fn health(&self) -> Result<String, RuntimeError> {
        self.run("health", || Ok("fake 1".into()))
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        self.run("image_present", || {
            Ok(!self.images_missing.lock().expect("no holder panics").contains(image))
        })
    }
}
