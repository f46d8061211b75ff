//! Sandboxes as child processes: the agent runs on this machine, as this user. For development and load tests.
//!
//! **Nothing is isolated**: a lab can read and write what the orchestrator can. Images, limits and users are ignored. What is
//! kept is the contract of [`lab_core::port::Runtime`], so that everything above it meets the same sandbox as in
//! production: it outlives the orchestrator, is found again after a restart, and is removed with everything it started.
//!
//! One folder per sandbox, `STATE/INSTALLATION/ID/`: `spec.json` (what the agent is told), `run/` (its socket and journal),
//! `root/` (where the lab's files go), `agent.log`, `sandbox.json` (which process it is), `ended.json` (how it ended).

mod dir;
mod proc;

use async_trait::async_trait;
use dir::{AGENT_SOCKET, Sandboxes};
use futures_core::stream::BoxStream;
use lab_core::{
    SandboxId,
    port::{ByteStream, Runtime, RuntimeError, SandboxPhase, SandboxSpec, SandboxStatus},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// How often [`Runtime::sandbox_watch`] looks. The processes are not all our children (they outlive us), so the kernel cannot
/// tell us of their end; reading `/proc` of a hundred sandboxes takes about a millisecond.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Where things are.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// The `lab-agent` program.
    pub agent: PathBuf,
    /// Folder of all installations' sandboxes. Short: a Unix socket's path has room for 107 bytes.
    pub state_dir: PathBuf,
    /// Sandboxes of other installations in the same folder are never listed or touched. `[a-z0-9-]{1,32}`.
    pub installation: String,
}

/// Makes sandboxes of child processes.
pub struct ProcessRuntime {
    sandboxes: Arc<Sandboxes>,
}

impl ProcessRuntime {
    /// Opens (and makes) the state folder. Refuses names and paths that cannot work, with the remedy.
    pub fn open(options: ProcessOptions) -> Result<Self, RuntimeError> {
        let sandboxes = Sandboxes::open(options).map_err(|e| unavailable("open", e))?;
        tracing::warn!(
            state_dir = %sandboxes.folder().display(),
            "the process runtime does NOT isolate: every learner can read, change and delete whatever this user can; use it on \
             your own machine only"
        );
        Ok(Self {
            sandboxes: Arc::new(sandboxes),
        })
    }

    /// Runs file and process work beside the executor: starting takes milliseconds, dropping up to seconds.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Sandboxes) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let sandboxes = self.sandboxes.clone();
        match tokio::task::spawn_blocking(move || work(&sandboxes)).await {
            Ok(done) => done.map_err(|e| unavailable(operation, e)),
            Err(panicked) => Err(unavailable(operation, panicked)),
        }
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn sandbox_ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        let spec = spec.clone();
        self.blocking("ensure", move |s| s.ensure(&spec)).await
    }

    async fn sandbox_drop(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.blocking("drop", move |s| s.drop_sandbox(id)).await
    }

    async fn sandbox_list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        self.blocking("list", Sandboxes::list).await
    }

    fn sandbox_watch(&self) -> BoxStream<'static, ()> {
        let sandboxes = self.sandboxes.clone();
        Box::pin(futures_util::stream::unfold(
            None,
            move |mut last: Option<Vec<SandboxStatus>>| {
                let sandboxes = sandboxes.clone();
                async move {
                    loop {
                        tokio::time::sleep(WATCH_EVERY).await;
                        let here = sandboxes.clone();
                        let now = tokio::task::spawn_blocking(move || here.list()).await.ok()?.ok()?;
                        // The first look wakes too: the caller cannot know what happened before it.
                        if last.as_ref() != Some(&now) {
                            return Some(((), Some(now)));
                        }
                        last = Some(now);
                    }
                }
            },
        ))
    }

    async fn connect(&self, id: SandboxId) -> Result<Box<dyn ByteStream>, RuntimeError> {
        let status = self.blocking("connect", move |s| s.status(id)).await?;
        // Asked first, and not only when the socket fails: what a dead agent left running may still hold the socket.
        if status.is_none_or(|s| matches!(s.phase, SandboxPhase::Gone { .. })) {
            return Err(RuntimeError::NotFound { id });
        }
        let socket = self.sandboxes.path(id).join("run").join(AGENT_SOCKET);
        match tokio::net::UnixStream::connect(&socket).await {
            Ok(stream) => Ok(Box::new(stream.compat())),
            Err(source) => Err(RuntimeError::AgentUnreachable {
                id,
                source: source.into(),
            }),
        }
    }

    async fn health(&self) -> Result<String, RuntimeError> {
        self.blocking("health", Sandboxes::health).await
    }

    /// Always: there are no images here.
    async fn image_present(&self, _image: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }
}

fn unavailable(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RuntimeError {
    RuntimeError::Unavailable {
        operation,
        source: source.into(),
    }
}
