//! Whether the runtime has a lab's image: without it no sandbox of the lab starts.

use crate::{config::Config, wire};
use anyhow::{Result, bail};
use lab_core::{lab::LabVersion, port::Runtime};
use prometheus::Registry;
use std::{collections::BTreeSet, time::Duration};

/// Longest wait for a runtime that does not answer.
pub(super) const RUNTIME_WITHIN: Duration = Duration::from_secs(5);

/// How a missing image is got.
pub(super) const REMEDY: &str =
    "build the lab images with `make images`, or have the engine fetch it (`docker pull`, or `runtime.pull: true`)";

/// Says of which labs' images the runtime has none; how many that are. Kubernetes fetches images itself, and says so of pods.
///
/// # Errors
/// No runtime, or none that answers.
pub(super) async fn warn(config: &Config, labs: &[LabVersion]) -> Result<usize> {
    let runtime = wire::runtime(config, &Registry::new()).await?;
    let name = runtime.name();
    let Ok(missing) = tokio::time::timeout(RUNTIME_WITHIN, missing(runtime.as_ref(), labs)).await else {
        bail!("the runtime ({name}) does not answer in {} s", RUNTIME_WITHIN.as_secs());
    };
    let missing = missing?;
    let will_be_fetched = config.runtime.pull;
    for image in &missing {
        let of: Vec<&str> = labs
            .iter()
            .filter(|l| l.file.image == *image)
            .map(|l| l.file.id.as_str())
            .collect();
        let of = of.join(", ");
        if will_be_fetched {
            eprintln!("labwire: {image} (of {of}) is not here yet: {name} fetches it at the first start");
        } else {
            eprintln!("labwire: {image} (of {of}) is not here: no sandbox of it can start; {REMEDY}");
        }
    }
    Ok(if will_be_fetched { 0 } else { missing.len() })
}

async fn missing(runtime: &dyn Runtime, labs: &[LabVersion]) -> Result<Vec<String>> {
    let images: BTreeSet<&str> = labs.iter().map(|l| l.file.image.as_str()).collect();
    let mut missing = Vec::new();
    for image in images {
        if !runtime.image_present(image).await? {
            missing.push(image.to_owned());
        }
    }
    Ok(missing)
}
