//! Blobs in memory.

use crate::faults::{Faults, Planned, Strike};
use async_trait::async_trait;
use bytes::Bytes;
use lab_core::port::{Blobs, BlobsError, QUARANTINE_PREFIX, check_blob_key};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// Blobs in memory; operations for [`Faults`] are `put`, `get`, `list`, and, asked at a put too, `full` (no room) and `corrupt` (what was
/// stored is not what was sent, and is moved aside).
#[derive(Debug, Default)]
pub struct FakeBlobs {
    pub faults: Faults,
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl FakeBlobs {
    /// The objects as they lie; a test may change them to play the vandal.
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().expect("no holder panics")
    }

    fn unavailable(operation: &'static str, key: &str) -> BlobsError {
        BlobsError::Unavailable {
            operation,
            key: key.to_owned(),
            source: Box::new(Planned),
        }
    }
}

#[async_trait]
impl Blobs for FakeBlobs {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobsError> {
        check_blob_key(key)?;
        if self.faults.strike("full").is_some() {
            return Err(BlobsError::Full { key: key.to_owned() });
        }
        if self.faults.strike("corrupt").is_some() {
            self.faults.strike("put");
            let damaged = bytes.slice(..bytes.len() / 2);
            self.objects().insert(format!("{QUARANTINE_PREFIX}{key}"), damaged);
            return Err(BlobsError::Corrupt { key: key.to_owned() });
        }
        let strike = self.faults.strike("put");
        if strike != Some(Strike::Before) {
            self.objects().insert(key.to_owned(), bytes);
        }
        strike.map_or(Ok(()), |_| Err(Self::unavailable("put", key)))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobsError> {
        check_blob_key(key)?;
        match self.faults.strike("get") {
            Some(_) => Err(Self::unavailable("get", key)),
            None => Ok(self.objects().get(key).cloned()),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobsError> {
        check_blob_key(key)?;
        self.objects().remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, BlobsError> {
        // what stands before the last '/' is a folder, and a folder's name is like a key
        prefix
            .rsplit_once('/')
            .map_or(Ok(()), |(folder, _)| check_blob_key(folder))?;
        if self.faults.strike("list").is_some() {
            return Err(Self::unavailable("list", prefix));
        }
        Ok(self
            .objects()
            .keys()
            .filter(|k| k.starts_with(prefix))
            .cloned()
            .collect())
    }
}
