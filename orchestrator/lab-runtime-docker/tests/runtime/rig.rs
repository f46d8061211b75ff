//! An engine that answers, and two installations nobody else has.

use async_trait::async_trait;
use bollard::{ClientVersion, Docker, errors::Error, query_parameters::KillContainerOptionsBuilder};
use futures_util::future::BoxFuture;
use lab_core::{SandboxId, port::Runtime};
use lab_runtime_docker::{DockerOptions, DockerRuntime};
use lab_testkit::contract::runtime::{self, RuntimeRig, agent_program};
use std::sync::Arc;

/// Made by `scripts/base-image`; small, and without anything of ours.
pub const IMAGE: &str = "labwire/base:bookworm";

pub struct Rig {
    /// For what the adapter does not offer.
    pub docker: Docker,
    /// Part of the names of this test's installations.
    run: String,
}

impl Rig {
    /// Panics with the remedy when no engine can be asked: a test that passes without one would say nothing.
    pub async fn new() -> Self {
        let run = uuid::Uuid::now_v7().simple().to_string();
        Self {
            docker: engine()
                .await
                .unwrap_or_else(|e| panic!("no container engine: {e}; run `scripts/engine start`")),
            // The last digits are random, the first are the time.
            run: run[20..].to_owned(),
        }
    }

    pub fn options(&self, installation: &str) -> DockerOptions {
        DockerOptions::new(format!("test-{installation}-{}", self.run), agent_program())
    }

    pub fn container(&self, id: SandboxId) -> String {
        format!("labwire-{}-{id}", self.options("ours").installation)
    }
}

pub fn open(options: DockerOptions) -> Arc<DockerRuntime> {
    Arc::new(DockerRuntime::open(options).unwrap())
}

/// Runs one promise on a rig of its own, and cleans up.
pub async fn hold(promise: impl for<'a> FnOnce(&'a Rig) -> BoxFuture<'a, ()>) {
    runtime::hold(Rig::new().await, promise).await;
}

/// A client in a version that the engine speaks: old ones refuse newer, new ones refuse older.
async fn engine() -> Result<Docker, Error> {
    let mut refused = None;
    for minor_version in [41, 44] {
        let version = ClientVersion {
            major_version: 1,
            minor_version,
        };
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
        let docker = match host.strip_prefix("unix://") {
            Some(socket) => Docker::connect_with_unix(socket, 120, &version)?,
            None => Docker::connect_with_http(&host, 120, &version)?,
        };
        match docker.version().await {
            Ok(_) => return Ok(docker),
            Err(e) => refused = Some(e),
        }
    }
    Err(refused.expect("the loop ran"))
}

#[async_trait]
impl RuntimeRig for Rig {
    fn runtime(&self) -> Arc<dyn Runtime> {
        open(self.options("ours"))
    }

    fn foreign(&self) -> Arc<dyn Runtime> {
        open(self.options("theirs"))
    }

    fn image(&self) -> String {
        IMAGE.into()
    }

    fn agent_socket(&self, _id: SandboxId) -> String {
        "/labwire/run/agent.sock".into()
    }

    async fn kill_agent(&self, id: SandboxId) {
        let kill = KillContainerOptionsBuilder::new().signal("KILL").build();
        self.docker
            .kill_container(&self.container(id), Some(kill))
            .await
            .unwrap();
    }
}
