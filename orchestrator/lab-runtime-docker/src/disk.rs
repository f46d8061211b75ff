//! A limit of disk where the engine's storage has none: what each container wrote is looked at, and which wrote too much is ended.
//!
//! As kubelets do it (`ephemeral-storage`), with the same two holes: between two looks a lab writes as fast as the disk takes it, and a
//! file that is deleted while a program holds it open counts for nothing. A quota has neither: `DockerOptions::disk_quota`.

use crate::{
    container::{LABEL_DISK_MIB, LABEL_SANDBOX},
    engine::{Engine, Failure, LOOK_WITHIN, WORK_WITHIN},
    list::{Ends, ours},
};
use bollard::query_parameters::{
    InspectContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use std::{sync::Arc, time::Duration};

/// Between two looks. At the 200 MB/s of a cheap disk a lab is 2 GB over its limit when it is ended.
pub const DISK_LOOK_EVERY: Duration = Duration::from_secs(10);

/// One container's files counted: 0.5 s for a hundred thousand whose directories are in memory.
const COUNT_WITHIN: Duration = Duration::from_secs(20);

/// Containers that are counted at once: the engine walks their files, and labs that start need it, too.
const COUNTS_AT_ONCE: usize = 2;

/// A running container whose size has a limit.
struct Limited {
    container: String,
    sandbox: String,
    disk_mib: u64,
}

/// Looks for ever, as long as it is polled; an item when something was ended.
pub(crate) fn watch(
    engine: Arc<Engine>,
    ends: Arc<Ends>,
    installation: String,
    every: Duration,
) -> BoxStream<'static, ()> {
    Box::pin(stream::unfold((), move |()| {
        let (engine, ends, installation) = (engine.clone(), ends.clone(), installation.clone());
        async move {
            loop {
                tokio::time::sleep(every).await;
                if look(&engine, &ends, &installation).await > 0 {
                    return Some(((), ()));
                }
            }
        }
    }))
}

/// How many were ended. An engine that does not answer is asked at the next look; who lists says that it is away.
async fn look(engine: &Engine, ends: &Ends, installation: &str) -> usize {
    let limited = running(engine, installation).await.unwrap_or_default();
    stream::iter(limited)
        .map(|one| async move {
            match written(engine, &one.container).await {
                Ok(bytes) if bytes / (1024 * 1024) >= one.disk_mib => {
                    let (sandbox, limit_mib) = (&one.sandbox, one.disk_mib);
                    tracing::warn!(sandbox, bytes, limit_mib, "a lab wrote more than its size has: ended");
                    // before it ends: whoever lists it ended must know why
                    ends.overfull(&one.container);
                    usize::from(kill(engine, &one.container).await.is_ok())
                }
                // gone meanwhile
                Err(failure) if failure.status() == Some(404) => 0,
                Err(failure) => {
                    let error = failure.into_unavailable("size");
                    tracing::warn!(sandbox = one.sandbox, %error, "what a lab wrote cannot be counted");
                    0
                }
                Ok(_) => 0,
            }
        })
        .buffer_unordered(COUNTS_AT_ONCE)
        .fold(0, |sum, ended| async move { sum + ended })
        .await
}

async fn running(engine: &Engine, installation: &str) -> Result<Vec<Limited>, Failure> {
    // without `all`: those that run
    let options = ListContainersOptionsBuilder::new().filters(&ours(installation)).build();
    let found = engine
        .call("list", LOOK_WITHIN, |d| async move {
            d.list_containers(Some(options)).await
        })
        .await?;
    let limited = found.into_iter().filter_map(|c| {
        let mut labels = c.labels?;
        Some(Limited {
            container: c.id?,
            disk_mib: labels.get(LABEL_DISK_MIB)?.parse().ok()?,
            sandbox: labels.remove(LABEL_SANDBOX)?,
        })
    });
    Ok(limited.collect())
}

/// Bytes that a container's files have beyond its image's, by their length: engines count a hole as if it were full.
async fn written(engine: &Engine, container: &str) -> Result<u64, Failure> {
    let options = InspectContainerOptionsBuilder::new().size(true).build();
    let seen = engine
        .call("size", COUNT_WITHIN, |d| async move {
            d.inspect_container(container, Some(options)).await
        })
        .await?;
    Ok(seen.size_rw.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}

/// At once, without a goodbye: it is writing.
async fn kill(engine: &Engine, container: &str) -> Result<(), Failure> {
    let options = KillContainerOptionsBuilder::new().signal("KILL").build();
    engine
        .call("kill", WORK_WITHIN, |d| async move {
            d.kill_container(container, Some(options)).await
        })
        .await
}
