//! Lab versions by digest. They never change, so they are read once.

use crate::{AppError, Ports};
use lab_core::{LabDigest, lab::LabVersion};
use std::{collections::HashMap, sync::Arc};

/// Versions kept: a lab file is at most 256 KiB, typically 15 KiB, so this is about 4 MiB; a day's classes use a few.
const KEPT_MAX: usize = 256;

/// See the module's doc.
#[derive(Default)]
pub(crate) struct LabCache(HashMap<LabDigest, Arc<LabVersion>>);

impl LabCache {
    /// The version, `None` when the store has none of that digest.
    pub(crate) async fn get(&mut self, ports: &Ports, digest: &LabDigest) -> Result<Option<Arc<LabVersion>>, AppError> {
        if let Some(lab) = self.0.get(digest) {
            return Ok(Some(Arc::clone(lab)));
        }
        let Some(lab) = ports.store.lab_version(digest).await?.map(Arc::new) else {
            return Ok(None);
        };
        if self.0.len() >= KEPT_MAX {
            self.0.clear();
        }
        self.0.insert(digest.clone(), Arc::clone(&lab));
        Ok(Some(lab))
    }
}
