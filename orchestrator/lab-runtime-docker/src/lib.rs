//! Sandboxes as containers, through any engine that speaks Docker's API: Docker on a socket or over TCP, Podman.
//!
//! The engine may be on another machine: the agent is uploaded, nothing is mounted, and terminals travel through the API
//! (`stream.rs`). Containers have no network. `ensure.rs` makes and removes, `list.rs` looks and watches, `disk.rs` ends what writes too
//! much, `container.rs` says what a sandbox is, `engine.rs` keeps time and reads the engine's answers.

mod archive;
mod container;
mod disk;
mod engine;
mod ensure;
mod list;
mod stream;

use archive::AgentPart;
use async_trait::async_trait;
use bollard::{
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::ContainerStateStatusEnum as Status,
};
use container::Site;
pub use disk::DISK_LOOK_EVERY;
use engine::{Engine, Failure, LOOK_WITHIN, VERSION_WITHIN, unavailable};
use futures_core::stream::BoxStream;
use lab_core::{
    SandboxId,
    port::{ByteStream, Runtime, RuntimeError, SandboxSpec, SandboxStatus},
};
use std::{os::unix::fs::MetadataExt, path::PathBuf, sync::Arc, time::Duration};
use stream::ExecStream;

/// Seccomp profile of labs that make namespaces. It belongs to the images, whose labs need it.
pub const LAB_SECCOMP: &str = include_str!("../../../lab-images/seccomp/lab.json");

/// A container that somebody created and did not start within this time is taken over: its maker crashed. Creating, uploading
/// and starting take 0.3 s alone; 10 s leave room for a class that starts at once.
pub const TAKEOVER_AFTER: Duration = Duration::from_secs(10);

/// Where things are.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// As in `DOCKER_HOST` (`unix://…`, `tcp://…`); that variable, or Docker's usual socket, when absent.
    pub host: Option<String>,
    /// Part of every container's name and labels; containers of other installations are never listed or touched.
    /// `[a-z0-9-]{1,32}`.
    pub installation: String,
    /// The `lab-agent` program, statically linked: it must run in any image.
    pub agent: PathBuf,
    /// Whether missing images are fetched from their registry.
    pub pull: bool,
    /// Whether the engine's storage can limit a container's disk (overlay2 on xfs with project quotas); engines refuse the
    /// limit otherwise.
    pub disk_quota: bool,
    /// Without a quota: between two looks at what containers wrote. Usually [`DISK_LOOK_EVERY`].
    pub disk_look_every: Duration,
    /// Whether labs of virtual machines get this machine's `/dev/kvm`, where it is. Only with an engine on this machine.
    pub kvm: bool,
    /// Seccomp profile (JSON text) of labs that make namespaces; usually [`LAB_SECCOMP`].
    pub seccomp: String,
    /// Usually [`TAKEOVER_AFTER`].
    pub takeover_after: Duration,
}

impl DockerOptions {
    /// The usual options: nothing fetched, no quotas, machines emulated, the lab profile.
    pub fn new(installation: impl Into<String>, agent: impl Into<PathBuf>) -> Self {
        Self {
            host: None,
            installation: installation.into(),
            agent: agent.into(),
            pull: false,
            disk_quota: false,
            disk_look_every: DISK_LOOK_EVERY,
            kvm: false,
            seccomp: LAB_SECCOMP.into(),
            takeover_after: TAKEOVER_AFTER,
        }
    }
}

/// The groups that a lab's user joins to use this machine's `/dev/kvm`; none when machines must be emulated.
fn kvm_groups(engine: &Engine) -> Option<Vec<u32>> {
    if !engine.host().starts_with("unix://") {
        tracing::warn!(
            engine = engine.host(),
            "kvm: the engine is on another machine; machines are emulated"
        );
        return None;
    }
    let device = std::fs::metadata(container::KVM)
        .inspect_err(|error| tracing::warn!(%error, "kvm: {} is not here; machines are emulated", container::KVM))
        .ok()?;
    let groups = who_may(device.mode(), device.gid());
    if groups.is_none() {
        tracing::warn!(
            mode = format!("{:o}", device.mode() & 0o777),
            group = device.gid(),
            "kvm: {} is for no group but root's; machines are emulated (as root: chgrp kvm {0} && chmod 660 {0})",
            container::KVM
        );
    }
    groups
}

/// How a user of no group comes to read and write a device; root's group is given to nobody.
fn who_may(mode: u32, group: u32) -> Option<Vec<u32>> {
    const OTHERS_READ_WRITE: u32 = 0o006;
    const GROUP_READ_WRITE: u32 = 0o060;
    if mode & OTHERS_READ_WRITE == OTHERS_READ_WRITE {
        Some(Vec::new())
    } else if mode & GROUP_READ_WRITE == GROUP_READ_WRITE && group != 0 {
        Some(vec![group])
    } else {
        None
    }
}

/// Makes sandboxes of containers.
pub struct DockerRuntime {
    engine: list::SharedEngine,
    site: Site,
    agent: AgentPart,
    ends: Arc<list::Ends>,
    disk_look_every: Duration,
    pull: bool,
    takeover_after: Duration,
}

impl DockerRuntime {
    /// Reads the agent and checks the options. The engine is not asked: it may be started later.
    pub fn open(options: DockerOptions) -> Result<Self, RuntimeError> {
        let DockerOptions {
            host,
            installation,
            agent,
            pull,
            disk_quota,
            disk_look_every,
            kvm,
            seccomp,
            takeover_after,
        } = options;
        let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if installation.is_empty() || installation.len() > 32 || !installation.bytes().all(word) {
            return Err(unavailable(
                "open",
                format!("installation {installation:?}: use 1 to 32 of a-z, 0-9 and -"),
            ));
        }
        let program = std::fs::read(&agent)
            .map_err(|e| unavailable("open", format!("agent {}: {e}; build it first", agent.display())))?;
        // One line: it is a request's field, and engines log requests.
        let seccomp = serde_json::from_str::<serde_json::Value>(&seccomp)
            .map_err(|e| unavailable("open", format!("seccomp profile: {e}; it must be JSON")))?
            .to_string();
        let engine = Engine::new(host);
        let kvm = kvm.then(|| kvm_groups(&engine)).flatten();
        Ok(Self {
            engine: Arc::new(engine),
            site: Site {
                installation,
                seccomp,
                disk_quota,
                kvm,
            },
            agent: AgentPart::new(&program).map_err(|e| unavailable("open", e))?,
            ends: Arc::default(),
            disk_look_every,
            pull,
            takeover_after,
        })
    }

    fn name_of(&self, id: SandboxId) -> String {
        container::name(&self.site.installation, id)
    }

    /// Two calls: make the exec, and start it with its streams on this connection.
    async fn exec_connect(&self, container: &str) -> Result<ExecStream, Failure> {
        let command = CreateExecOptions {
            cmd: Some(vec![container::AGENT, "connect", "--dir", container::RUN_DIR]),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            // Frames, not bare bytes: see `stream.rs`. No user: the container's own, which is the agent's.
            tty: Some(false),
            working_dir: Some("/"),
            ..CreateExecOptions::default()
        };
        let exec = self
            .engine
            .call("connect", LOOK_WITHIN, |d| async move {
                d.create_exec(container, command).await
            })
            .await?;
        let how = StartExecOptions {
            detach: false,
            tty: false,
            output_capacity: Some(stream::READ_BYTES),
        };
        let started = self
            .engine
            .call("connect", LOOK_WITHIN, |d| async move {
                d.start_exec(&exec.id, Some(how)).await
            })
            .await?;
        match started {
            StartExecResults::Attached { output, input } => Ok(ExecStream::new(output, input)),
            StartExecResults::Detached => Err(Failure::Silent(unavailable("connect", "the engine detached the exec"))),
        }
    }

    /// Why a container cannot be connected to: asked only when it could not.
    async fn why_unconnected(&self, id: SandboxId, name: &str, message: String) -> RuntimeError {
        let inspected = self
            .engine
            .call("inspect", LOOK_WITHIN, |d| async move {
                d.inspect_container(name, None).await
            })
            .await;
        match inspected {
            Ok(seen) => match seen.state.and_then(|s| s.status) {
                Some(Status::EXITED | Status::DEAD | Status::REMOVING) => RuntimeError::NotFound { id },
                _ => RuntimeError::AgentUnreachable {
                    id,
                    source: message.into(),
                },
            },
            Err(failure) if failure.status() == Some(404) => RuntimeError::NotFound { id },
            Err(failure) => failure.into_unavailable("connect"),
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn sandbox_ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        self.ensure(spec).await
    }

    async fn sandbox_drop(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.remove(&self.name_of(id)).await
    }

    async fn sandbox_list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        self.list().await
    }

    fn sandbox_watch(&self) -> BoxStream<'static, ()> {
        self.watch()
    }

    async fn connect(&self, id: SandboxId) -> Result<Box<dyn ByteStream>, RuntimeError> {
        let name = self.name_of(id);
        match self.exec_connect(&name).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(Failure::Answer { status: 404, .. }) => Err(RuntimeError::NotFound { id }),
            Err(Failure::Answer { message, .. }) => Err(self.why_unconnected(id, &name, message).await),
            Err(Failure::Silent(error)) => Err(error),
        }
    }

    async fn health(&self) -> Result<String, RuntimeError> {
        let version = self
            .engine
            .call("health", VERSION_WITHIN, |d| async move { d.version().await })
            .await
            .map_err(|f| f.into_unavailable("health"))?;
        let engine = version
            .components
            .unwrap_or_default()
            .into_iter()
            .next()
            .map_or_else(|| "Engine".into(), |c| c.name);
        let number = version.version.unwrap_or_default();
        let api = version.api_version.unwrap_or_default();
        Ok(format!("{engine} {number} (API {api}) at {}", self.engine.host()))
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        match self
            .engine
            .call("image", LOOK_WITHIN, |d| async move { d.inspect_image(image).await })
            .await
        {
            Ok(_) => Ok(true),
            Err(failure) if failure.status() == Some(404) => Ok(false),
            Err(failure) => Err(failure.into_unavailable("image")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::who_may;

    #[test]
    fn a_lab_joins_the_devices_group_but_never_roots() {
        assert_eq!(who_may(0o020_660, 108), Some(vec![108]));
        assert_eq!(who_may(0o020_666, 0), Some(vec![]), "everybody's");
        assert_eq!(who_may(0o020_660, 0), None);
        assert_eq!(who_may(0o020_600, 108), None);
        assert_eq!(who_may(0o020_640, 108), None, "reading alone is of no use");
    }
}
