//! Where recordings lie, and what several replicas need of the rest.

use super::{Config, ConfigArgs, Problem, reader::Section};
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Where recordings lie.
#[derive(Clone, Debug)]
pub enum Recordings {
    Folder(PathBuf),
    Bucket(BucketConfig),
}

/// `recordings: s3://BUCKET/PREFIX` and the section `s3`.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    pub bucket: String,
    pub prefix: String,
    pub endpoint: Option<String>,
    pub region: String,
    pub path_style: bool,
    pub access_key: Option<String>,
    pub secret_key: Option<SecretString>,
}

impl Recordings {
    /// For people; no secret in it.
    pub fn shown(&self) -> serde_json::Value {
        match self {
            Self::Folder(path) => path.display().to_string().into(),
            Self::Bucket(b) if b.prefix.is_empty() => format!("s3://{}", b.bucket).into(),
            Self::Bucket(b) => format!("s3://{}/{}", b.bucket, b.prefix).into(),
        }
    }

    /// The section `s3` as it is in force; null for a folder.
    pub fn shown_bucket(&self) -> serde_json::Value {
        match self {
            Self::Folder(_) => serde_json::Value::Null,
            Self::Bucket(b) => serde_json::json!({
                "endpoint": b.endpoint,
                "region": b.region,
                "path_style": b.path_style,
                "access_key": b.access_key,
                "secret_key": b.secret_key.as_ref().map(|_| "(set)"),
            }),
        }
    }
}

/// `recordings` and `s3` of the file's top level.
pub(super) fn recordings(
    args: &ConfigArgs,
    top: &mut Section,
    base: &Path,
    data_dir: &Path,
    problems: &mut Vec<Problem>,
) -> Recordings {
    let place = "write the path of a folder, or s3://BUCKET/PREFIX";
    let place = top.parsed("recordings", args.recordings.clone(), place, problems, |p| {
        if let Some(rest) = p.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket_ok = bucket.len() >= 3 && !bucket.contains(|c: char| c.is_whitespace() || c == '?');
            return bucket_ok.then(|| Err((bucket.to_owned(), prefix.trim_matches('/').to_owned())));
        }
        // a flag or variable starts at the working folder, the file's at the file
        let path = if args.recordings.is_some() {
            PathBuf::from(p)
        } else {
            base.join(p)
        };
        (!p.is_empty()).then_some(Ok(path))
    });
    let mut s3 = top.section("s3", problems);
    let endpoint = s3.parsed(
        "endpoint",
        args.s3_endpoint.clone(),
        "write https://HOST:PORT, or leave it out for Amazon's",
        problems,
        |e| (e.starts_with("https://") || e.starts_with("http://")).then(|| e.trim_end_matches('/').to_owned()),
    );
    let region = s3.parsed("region", None, "write a region's name, like eu-west-3", problems, |r| {
        (!r.is_empty()).then(|| r.to_owned())
    });
    let path_style = s3.parsed("path_style", None, super::read::BOOLEAN, problems, |b| b.parse().ok());
    let access_key = s3.parsed(
        "access_key",
        args.s3_access_key.clone(),
        "write it as text",
        problems,
        |k| (!k.is_empty()).then(|| k.to_owned()),
    );
    let below = s3.secret("secret_key", problems);
    let secret_key = args.s3_secret_key.clone().map(SecretString::from).or(below);
    s3.close(problems);
    if access_key.is_some() != secret_key.is_some() {
        problems.push(Problem {
            key: "s3.access_key".into(),
            found: "one of access_key and secret_key".into(),
            remedy: "give both, or neither for the environment's own identity".into(),
        });
    }
    match place {
        Some(Err((bucket, prefix))) => Recordings::Bucket(BucketConfig {
            bucket,
            prefix,
            // Amazon's own names buckets in the host; nearly nobody else's does
            path_style: path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            region: region.unwrap_or_else(|| "us-east-1".into()),
            access_key,
            secret_key,
        }),
        Some(Ok(path)) => Recordings::Folder(path),
        None => Recordings::Folder(data_dir.join("recordings")),
    }
}

/// What cannot be with several replicas.
pub(super) fn check_replicas(config: &Config, problems: &mut Vec<Problem>) {
    if config.replicas <= 1 {
        return;
    }
    let mut refuse = |key: &str, found: &str, remedy: &str| {
        problems.push(Problem {
            key: key.into(),
            found: format!("{found} with {} replicas", config.replicas),
            remedy: remedy.into(),
        });
    };
    if config.single_process() {
        let remedy = "use postgres://… (SQLite has one writer, on one machine), or replicas: 1";
        refuse("database", "SQLite", remedy);
    }
    if config.keys.is_empty() {
        let remedy = "give all replicas the same keys: each would make its own, and refuse the others' links";
        refuse("keys", "none", remedy);
    }
}
