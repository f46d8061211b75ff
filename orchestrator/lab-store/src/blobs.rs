//! Recordings' bytes by `object_store`: a directory, or a bucket ([`crate::S3Options`]).

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use lab_core::{
    limits::CHUNK_AGE,
    port::{Blobs, BlobsError, QUARANTINE_PREFIX, check_blob_key},
};
use nix::fcntl::PosixFadviseAdvice;
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path};
use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// See the module's doc.
#[derive(Clone, Debug)]
pub struct ObjectBlobs {
    objects: Arc<dyn ObjectStore>,
    /// A put is read back before it counts.
    read_back: bool,
    /// Where the files are, for a directory.
    files: Option<PathBuf>,
}

impl ObjectBlobs {
    /// Objects as files under `path`, which is made when missing. A put is durable when it returns: the file and the
    /// directories that name it are synced.
    pub fn directory(path: &std::path::Path) -> Result<Self, BlobsError> {
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| BlobsError::Unavailable {
            operation: "open",
            key: String::new(),
            source,
        };
        std::fs::create_dir_all(path).map_err(|e| unusable(e.into()))?;
        let objects = LocalFileSystem::new_with_prefix(path).map_err(|e| unusable(e.into()))?;
        Ok(Self {
            objects: Arc::new(objects.with_fsync(true)),
            // a disk that returns other bytes than were synced does so later, if at all
            read_back: false,
            files: Some(path.to_owned()),
        })
    }

    /// Objects behind a network.
    pub(crate) fn read_back(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            read_back: true,
            files: None,
        }
    }

    /// Compares an object with what was sent; when it differs, moves it aside and refuses.
    async fn prove(&self, key: &str, sent: &Bytes) -> Result<(), BlobsError> {
        let found = self.get(key).await?;
        if found.as_ref() == Some(sent) {
            return Ok(());
        }
        let bytes = found.as_ref().map(Bytes::len);
        tracing::error!(
            key,
            sent = sent.len(),
            found = bytes,
            "an upload is not what was sent; moved aside"
        );
        if let Some(found) = found {
            // what cannot be moved stays where it is: no row names it, and the next put replaces it
            let aside = path(&format!("{QUARANTINE_PREFIX}{key}"))?;
            if let Err(error) = self.objects.put(&aside, found.into()).await {
                tracing::warn!(key, %error, "the damaged upload could not be kept");
            }
            self.delete(key).await?;
        }
        Err(BlobsError::Corrupt { key: key.to_owned() })
    }
}

/// Has the kernel give up its copy of a file that is on the disk: a recording is written once and seldom read, and memory that is new for each
/// chunk costs the flood that is being recorded a tenth of the processor. Only a hint, so it cannot fail.
async fn forget(file: PathBuf) {
    let hint = move || {
        let file = std::fs::File::open(file).ok()?;
        nix::fcntl::posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).ok()
    };
    let _ = tokio::task::spawn_blocking(hint).await;
}

fn path(key: &str) -> Result<Path, BlobsError> {
    check_blob_key(key)?;
    Path::parse(key).map_err(|_| BlobsError::Key { key: key.to_owned() })
}

/// No space, or a quota that is used up: what the recording policy is about, so it must not look like a broken disk.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| {
        e.downcast_ref::<io::Error>().is_some_and(|e| {
            matches!(
                e.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            )
        })
    })
}

fn failed(operation: &'static str, key: &str) -> impl Fn(object_store::Error) -> BlobsError {
    move |source| {
        if is_full(&source) {
            BlobsError::Full { key: key.to_owned() }
        } else {
            BlobsError::Unavailable {
                operation,
                key: key.to_owned(),
                source: Box::new(source),
            }
        }
    }
}

/// In a bucket every object is a request, and two with the reading back: at 2 s someone who types for an hour makes 1 800 objects (a
/// cent or two), at a disk's quarter second it would be eight times that, and 500 of them 4 000 requests a second.
const GATHER: Duration = Duration::from_secs(2);

#[async_trait]
impl Blobs for ObjectBlobs {
    fn gather(&self) -> Duration {
        if self.read_back { GATHER } else { CHUNK_AGE }
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobsError> {
        self.objects
            .put(&path(key)?, bytes.clone().into())
            .await
            .map_err(failed("put", key))?;
        if self.read_back {
            self.prove(key, &bytes).await?;
        }
        if let Some(files) = &self.files {
            forget(files.join(key)).await;
        }
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobsError> {
        match self.objects.get(&path(key)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed("get", key)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed("get", key)(e)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobsError> {
        match self.objects.delete(&path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("delete", key)(e)),
        }
    }

    /// A prefix may end inside a name; object stores list by whole names, so the rest is filtered here.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, BlobsError> {
        let folder = match prefix.rsplit_once('/') {
            Some((folder, _)) => Some(path(folder)?),
            None => None,
        };
        let found: Vec<_> = self
            .objects
            .list(folder.as_ref())
            .try_collect()
            .await
            .map_err(failed("list", prefix))?;
        let mut keys: Vec<String> = found
            .into_iter()
            .map(|o| o.location.to_string())
            .filter(|k| k.starts_with(prefix))
            .collect();
        keys.sort();
        Ok(keys)
    }
}
