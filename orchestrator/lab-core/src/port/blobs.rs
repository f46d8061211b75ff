//! Where recordings' bytes lie.

use super::ErrorKind;
use crate::limits::CHUNK_AGE;
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// A flat store of immutable objects.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// How long bytes of a recording are gathered before they are put: what a lost sandbox can take with it, and the most objects that
    /// a session makes. The default is for a disk.
    fn gather(&self) -> Duration {
        CHUNK_AGE
    }
    /// Stores `bytes` under `key`; durable, and the same bytes, when it returns. Putting the same key again replaces it (a retry after a crash).
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobsError>;
    /// The whole object, `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobsError>;
    /// Removes it; fine when there is none.
    async fn delete(&self, key: &str) -> Result<(), BlobsError>;
    /// Keys that begin with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, BlobsError>;
}

/// Objects below this are uploads that were not what was sent, each under the key it was sent as. Nothing of ours reads them again, or
/// removes them: they are for whoever looks into the storage.
pub const QUARANTINE_PREFIX: &str = "quarantine/";

/// Longest key: a path that any file system and S3 take. Ours are below 100 bytes.
pub const BLOB_KEY_BYTES_MAX: usize = 512;

/// Refuses what is not a key: parts of letters, digits, `-`, `_` and `.`, joined by `/`, none empty or beginning with a
/// dot. A key may become a path, so it must not be able to leave its folder.
pub fn check_blob_key(key: &str) -> Result<(), BlobsError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 200
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if key.len() <= BLOB_KEY_BYTES_MAX && key.split('/').all(is_part) {
        return Ok(());
    }
    Err(BlobsError::Key {
        key: key.chars().take(BLOB_KEY_BYTES_MAX).collect(),
    })
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobsError {
    #[error("no space left to store {key}")]
    Full { key: String },
    #[error("cannot {operation} {key}")]
    Unavailable {
        operation: &'static str,
        key: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("what was stored as {key} is not what was sent; it was moved aside")]
    Corrupt { key: String },
    #[error("{key:?} is not a key: use letters, digits, '-', '_', '.' and '/' only")]
    Key { key: String },
}

impl BlobsError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::Unavailable { .. } | Self::Corrupt { .. } => ErrorKind::Unavailable,
            Self::Key { .. } => ErrorKind::Bug,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "blobs-full",
            Self::Unavailable { .. } => "blobs-unavailable",
            Self::Corrupt { .. } => "blobs-corrupt",
            Self::Key { .. } => "blobs-key",
        }
    }
}
