//! Recordings in a bucket.
//!
//! A put counts when the bytes were read back and are the same: an upload that was cut or changed on its way is moved aside
//! (below `quarantine/`, for whoever looks into it) and refused, so that no row ever names an object that is not the journal.
//! One request more a chunk is the price; a chunk is written once and read rarely.

use crate::ObjectBlobs;
use lab_core::port::BlobsError;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, path::Path, prefix::PrefixStore,
};
use std::{sync::Arc, time::Duration};

/// A request that has not ended by then is given up: a chunk is 2 MiB, or some more after an outage (8 MiB at most), and a store
/// that takes less than 1 MiB a second does not keep up with one busy terminal.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// A bucket is next door.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A refused request is sent again so often by the client (they are all repeatable: keys are of their bytes' range), within a
/// time that leaves the recorder its say: it has its own pauses, policy and shutdown.
const RETRIES: usize = 2;
/// See [`RETRIES`].
const RETRY_WITHIN: Duration = Duration::from_secs(10);

/// Where a bucket is and how it is spoken to.
#[derive(Clone)]
pub struct S3Options {
    pub bucket: String,
    /// Keys begin with it; empty for the whole bucket.
    pub prefix: String,
    /// `https://…` of an S3 that is not Amazon's.
    pub endpoint: Option<String>,
    pub region: String,
    /// The bucket's name in the path instead of the host name, as most S3 that are not Amazon's want it.
    pub path_style: bool,
    /// Access key and secret key; the environment's (variables, instance or pod identity) without them.
    pub keys: Option<(String, String)>,
}

impl std::fmt::Debug for S3Options {
    // without the keys
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl ObjectBlobs {
    /// Objects in an S3 bucket, which exists. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Options that cannot be used.
    pub fn s3(options: &S3Options) -> Result<Self, BlobsError> {
        // another part of this process may have chosen the same one already
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = options.endpoint.as_deref().is_some_and(|e| e.starts_with("http://"));
        let client = ClientOptions::new()
            .with_timeout(REQUEST_WITHIN)
            .with_connect_timeout(CONNECT_WITHIN)
            .with_allow_http(http);
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
            backoff: BackoffConfig::default(),
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_virtual_hosted_style_request(!options.path_style)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((access, secret)) = &options.keys {
            builder = builder.with_access_key_id(access).with_secret_access_key(secret);
        }
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| BlobsError::Unavailable {
            operation: "open",
            key: String::new(),
            source,
        };
        let bucket: Arc<dyn ObjectStore> = Arc::new(builder.build().map_err(|e| unusable(e.into()))?);
        if options.prefix.is_empty() {
            return Ok(Self::read_back(bucket));
        }
        let prefix = Path::parse(&options.prefix).map_err(|e| unusable(e.into()))?;
        Ok(Self::read_back(Arc::new(PrefixStore::new(bucket, prefix))))
    }
}
