//! The engine's API: one lazily made client, a time limit on every call, and what its answers mean.

use bollard::{ClientVersion, Docker, errors::Error};
use lab_core::port::RuntimeError;
use std::{
    error::Error as StdError,
    future::Future,
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// Where an engine listens when nobody says otherwise.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// API versions tried, first to answer wins. What is used here exists since 1.41 (Docker 20.10, Podman 3); engines of 2025
/// and later (Docker 29) refuse to speak below 1.44.
const API_VERSIONS: [ClientVersion; 2] = [
    ClientVersion {
        major_version: 1,
        minor_version: 41,
    },
    ClientVersion {
        major_version: 1,
        minor_version: 44,
    },
];

/// bollard's own limit, in seconds, for an answer's headers; ours ([`Engine::call`]) are all shorter.
const BOLLARD_TIMEOUT_SECS: u64 = 600;

/// Finding the version takes milliseconds; an engine that is being started or is stopped must not hold callers up.
pub(crate) const VERSION_WITHIN: Duration = Duration::from_secs(3);

/// Calls that only look something up. 10 s: a busy engine answers a list of 500 containers in about 1 s.
pub(crate) const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// One step of making or removing. Alone 20 to 300 ms; a class of 50 starting at once on two cores was seen to queue for 15 s.
pub(crate) const WORK_WITHIN: Duration = Duration::from_mins(1);

/// Why a call did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine answered: HTTP status and its message.
    Answer { status: u16, message: String },
    /// It did not.
    Silent(RuntimeError),
}

impl Failure {
    /// The engine's status, if it answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::Silent(_) => None,
        }
    }

    /// For calls whose answers are all unexpected: then it is the engine that is unwell.
    pub fn into_unavailable(self, operation: &'static str) -> RuntimeError {
        match self {
            Self::Answer { status, message } => unavailable(operation, format!("status {status}: {message}")),
            Self::Silent(error) => error,
        }
    }
}

pub(crate) fn unavailable(operation: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> RuntimeError {
    RuntimeError::Unavailable {
        operation,
        source: source.into(),
    }
}

/// The way to one engine. It may be stopped when this is made, and come and go afterwards.
pub(crate) struct Engine {
    host: String,
    /// Made at the first call that reaches the engine: until then its version is not known.
    client: RwLock<Option<Docker>>,
}

impl Engine {
    /// `host` as in `DOCKER_HOST`, which is asked when it is absent, as every client of such engines does.
    pub fn new(host: Option<String>) -> Self {
        let host = host.or_else(|| std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty()));
        Self {
            host: host.unwrap_or_else(|| DEFAULT_HOST.into()),
            client: RwLock::new(None),
        }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Makes one call, within a time.
    pub async fn call<T, F: Future<Output = Result<T, Error>>>(
        &self,
        operation: &'static str,
        within: Duration,
        request: impl FnOnce(Docker) -> F,
    ) -> Result<T, Failure> {
        let client = self.client(operation).await?;
        match tokio::time::timeout(within, request(client)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Error::DockerResponseServerError { status_code, message })) => {
                // Replaced by an engine of another age while we ran: found anew at the next call.
                if status_code == 400 && message.contains("API version") {
                    self.forget();
                    return Err(Failure::Silent(unavailable(operation, message)));
                }
                Err(Failure::Answer {
                    status: status_code,
                    message,
                })
            }
            Ok(Err(error)) => Err(Failure::Silent(unavailable(operation, error))),
            Err(_elapsed) => Err(Failure::Silent(unavailable(
                operation,
                format!("no answer within {within:?}"),
            ))),
        }
    }

    /// The client, made when it is not there yet. Two callers may make it at once; both are right.
    pub async fn client(&self, operation: &'static str) -> Result<Docker, Failure> {
        let made = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = made {
            return Ok(client);
        }
        let mut refusal = None;
        for version in &API_VERSIONS {
            let client = connect(&self.host, version).map_err(|e| self.silent(operation, e))?;
            match tokio::time::timeout(VERSION_WITHIN, client.version()).await {
                Ok(Ok(_)) => {
                    *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
                    return Ok(client);
                }
                Ok(Err(e @ Error::DockerResponseServerError { status_code: 400, .. })) => refusal = Some(e),
                Ok(Err(e)) => return Err(self.silent(operation, e)),
                Err(_elapsed) => {
                    return Err(self.silent(operation, format!("no answer within {VERSION_WITHIN:?}")));
                }
            }
        }
        let refusal = refusal.map_or_else(String::new, |e| e.to_string());
        Err(self.silent(operation, format!("speaks no known version of the API: {refusal}")))
    }

    fn silent(&self, operation: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Silent(unavailable(
            operation,
            Unreached {
                host: self.host.clone(),
                source: source.into(),
            },
        ))
    }

    fn forget(&self) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Where nobody answered, and what can be done.
#[derive(Debug, thiserror::Error)]
#[error("no engine at {host}; start Docker or Podman (`scripts/engine start`), or set DOCKER_HOST")]
struct Unreached {
    host: String,
    #[source]
    source: Box<dyn StdError + Send + Sync>,
}

fn connect(host: &str, version: &ClientVersion) -> Result<Docker, Error> {
    if host.starts_with("unix://") {
        Docker::connect_with_unix(host, BOLLARD_TIMEOUT_SECS, version)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        Docker::connect_with_http(host, BOLLARD_TIMEOUT_SECS, version)
    } else {
        Err(Error::UnsupportedURISchemeError { uri: host.to_owned() })
    }
}
