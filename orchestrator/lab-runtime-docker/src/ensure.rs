//! Making and removing a container, from any state that it may be found in.
//!
//! ```text
//!            create ──created──► upload ► start ► running
//!              │ 409: the name is taken
//!              ▼
//!            inspect ─ running ─────────────► done
//!              ├────── created ─► its maker is at work: wait; after `takeover_after` remove, create
//!              ├────── ended ───► remove, create
//!              └────── not there (just removed) ─► create
//! ```
//! Only who created a container fills and starts it: uploading into somebody else's could swap the spec under an agent that
//! is just reading it. A maker that was too slow finds its container gone (404) and begins again.

use crate::{
    DockerRuntime, container,
    engine::{Failure, LOOK_WITHIN, WORK_WITHIN, unavailable},
};
use bollard::{
    models::ContainerStateStatusEnum as Status,
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder,
        UploadToContainerOptionsBuilder,
    },
};
use futures_util::TryStreamExt;
use lab_core::{
    SandboxId,
    port::{RuntimeError, SandboxSpec},
};
use std::time::Duration;
use tokio::time::Instant;

/// All of `ensure`: a take-over, a removal and three steps of an engine that is busy.
const ENSURE_WITHIN: Duration = Duration::from_mins(2);

/// How often another maker's or remover's progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Fetching an image from a registry.
const PULL_WITHIN: Duration = Duration::from_mins(10);

/// What has the name that is wanted.
enum Found {
    Running,
    /// Created, not started: this container.
    Created(String),
    Ended(String),
    Nothing,
}

impl DockerRuntime {
    pub(crate) async fn ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        let mut fetched = false;
        loop {
            let made = tokio::time::timeout(ENSURE_WITHIN, self.make_or_find(spec)).await;
            match made {
                Ok(Err(RuntimeError::ImageMissing { .. })) if self.pull && !fetched => {
                    fetched = true;
                    self.image_pull(&spec.image).await?;
                }
                Ok(done) => return done,
                Err(_elapsed) => return Err(unavailable("ensure", format!("not done within {ENSURE_WITHIN:?}"))),
            }
        }
    }

    async fn make_or_find(&self, spec: &SandboxSpec) -> Result<(), RuntimeError> {
        let name = container::name(&self.site.installation, spec.id);
        // The unstarted container of somebody else, and since when we see it.
        let mut theirs: Option<(String, Instant)> = None;
        loop {
            let failure = match self.create(&name, spec).await {
                Ok(container) => match self.fill_and_start(&container, spec).await {
                    Ok(()) => return Ok(()),
                    // Taken over or dropped meanwhile.
                    Err(failure) if failure.status() == Some(404) => continue,
                    Err(failure) => {
                        // It will never run. When it cannot be removed now, the next `ensure` takes it over.
                        let _ = self.remove(&container).await;
                        failure
                    }
                },
                Err(failure) => failure,
            };
            match failure.status() {
                Some(404) => {
                    return Err(RuntimeError::ImageMissing {
                        image: spec.image.clone(),
                    });
                }
                Some(409) => {}
                _ => return Err(refused(spec.id, "ensure", failure)),
            }
            match self.find(&name).await? {
                Found::Running => return Ok(()),
                Found::Ended(container) => self.remove(&container).await?,
                Found::Nothing => tokio::time::sleep(LOOK_EVERY).await,
                Found::Created(container) => {
                    let since = theirs
                        .take()
                        .filter(|(seen, _)| *seen == container)
                        .map_or_else(Instant::now, |t| t.1);
                    if since.elapsed() >= self.takeover_after {
                        self.remove(&container).await?;
                    } else {
                        theirs = Some((container, since));
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                }
            }
        }
    }

    async fn create(&self, name: &str, spec: &SandboxSpec) -> Result<String, Failure> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let body = container::body(&self.site, spec);
        self.engine
            .call("create", WORK_WITHIN, |d| async move {
                d.create_container(Some(options), body).await
            })
            .await
            .map(|made| made.id)
    }

    async fn fill_and_start(&self, container: &str, spec: &SandboxSpec) -> Result<(), Failure> {
        let pieces = self
            .agent
            .with(spec)
            .map_err(|e| Failure::Silent(unavailable("upload", e)))?;
        let archive = bollard::body_stream(futures_util::stream::iter(pieces));
        let root = UploadToContainerOptionsBuilder::new().path("/").build();
        self.engine
            .call("upload", WORK_WITHIN, |d| async move {
                d.upload_to_container(container, Some(root), archive).await
            })
            .await?;
        self.engine
            .call("start", WORK_WITHIN, |d| async move {
                d.start_container(container, None).await
            })
            .await
    }

    async fn find(&self, name: &str) -> Result<Found, RuntimeError> {
        let inspected = self
            .engine
            .call("inspect", LOOK_WITHIN, |d| async move {
                d.inspect_container(name, None).await
            })
            .await;
        let seen = match inspected {
            Ok(seen) => seen,
            Err(failure) if failure.status() == Some(404) => return Ok(Found::Nothing),
            Err(failure) => return Err(failure.into_unavailable("inspect")),
        };
        let container = seen.id.unwrap_or_default();
        Ok(match seen.state.and_then(|s| s.status) {
            Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING) => Found::Running,
            Some(Status::CREATED) => Found::Created(container),
            Some(Status::REMOVING) => Found::Nothing,
            _ => Found::Ended(container),
        })
    }

    /// Removes a container by name or id, killing it if it runs, with its anonymous volumes. Fine when there is none.
    pub(crate) async fn remove(&self, container: &str) -> Result<(), RuntimeError> {
        let until = Instant::now() + WORK_WITHIN;
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = self
                .engine
                .call("remove", WORK_WITHIN, |d| async move {
                    d.remove_container(container, Some(options)).await
                })
                .await;
            match removed {
                Ok(()) => return Ok(()),
                Err(failure) => match failure.status() {
                    Some(404) => return Ok(()),
                    // Somebody else is removing it: gone only when it is not found any more.
                    Some(409) if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
                    _ => return Err(failure.into_unavailable("remove")),
                },
            }
        }
    }

    async fn image_pull(&self, image: &str) -> Result<(), RuntimeError> {
        tracing::info!(image, "fetching an image");
        let options = CreateImageOptionsBuilder::new().from_image(image).build();
        let pulled = self
            .engine
            .call("pull", PULL_WITHIN, |d| async move {
                d.create_image(Some(options), None, None)
                    .try_for_each(|_progress| async { Ok(()) })
                    .await
            })
            .await;
        match pulled {
            Err(Failure::Silent(error)) => Err(error),
            Ok(()) => Ok(()),
            Err(Failure::Answer { message, .. }) => {
                tracing::warn!(image, message, "an image cannot be fetched");
                Err(RuntimeError::ImageMissing {
                    image: image.to_owned(),
                })
            }
        }
    }
}

/// An answer that no repetition changes, with the engine's reason; or its silence.
pub(crate) fn refused(id: SandboxId, operation: &'static str, failure: Failure) -> RuntimeError {
    match failure {
        Failure::Answer { status: 503, message } => unavailable(operation, message),
        Failure::Answer { message, .. } => RuntimeError::Refused { id, message },
        Failure::Silent(error) => error,
    }
}
