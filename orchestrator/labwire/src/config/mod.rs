//! What an installation decides: flags, then environment, then the file, then defaults.
//!
//! `read` collects every problem before it gives up, each naming the key, what was found and what to do. Secrets are
//! `SecretString` from the moment they are read; [`Config::redacted`] is what people see.

mod accounts;
mod args;
mod controller;
mod keys;
mod kubernetes;
mod pools;
mod privacy;
mod read;
mod reader;
mod staff;
mod storage;

pub use accounts::{AccountsConfig, MailConfig};
pub use args::ConfigArgs;
pub use controller::ControllerConfig;
use lab_app::launch::{Key, staff::StaffSettings};
use lab_core::{PlanId, entitlement::Plan, port::Course, provisioning::PoolSettings};
use lab_runtime_kubernetes::runtime::Connect;
pub use privacy::PrivacyConfig;
use secrecy::SecretString;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
pub use storage::{BucketConfig, Recordings};

/// Every setting, commented; what `labwire example-config` prints, and the documentation.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// An installation's settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub installation: String,
    pub listen: SocketAddr,
    pub public_url: String,
    pub data_dir: PathBuf,
    /// May hold a password.
    pub database: SecretString,
    pub recordings: Recordings,
    /// How many `serve` share the database.
    pub replicas: u32,
    /// `serve` brings an older schema up to date; otherwise `labwire migrate` does, once for all replicas.
    pub migrate: bool,
    pub labs_dir: Option<PathBuf>,
    pub runtime: RuntimeConfig,
    /// Of `labwire controller` alone.
    pub controller: ControllerConfig,
    /// First signs. Never empty once [`Config::with_keys`] ran.
    pub keys: Vec<Key>,
    pub limits: LimitsConfig,
    /// Sandboxes kept warm; each lab at most once.
    pub pools: Vec<PoolSettings>,
    pub plans: Vec<Plan>,
    /// Those of `plans` that every installation has at first, and of which this one's file says nothing.
    pub plans_at_first: Vec<PlanId>,
    pub courses: Vec<Course>,
    pub http: HttpConfig,
    pub lti: LtiConfig,
    /// Where staff sign in, where they do.
    pub staff: Option<StaffSettings>,
    /// Budgets, costs, and who is told.
    pub accounts: AccountsConfig,
    pub privacy: PrivacyConfig,
    pub log: LogConfig,
}

/// What makes sandboxes.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    pub kind: RuntimeKind,
    /// The `lab-agent` program; found beside ours when not given.
    pub agent: Option<PathBuf>,
    /// Docker only, as in `DOCKER_HOST`.
    pub host: Option<String>,
    /// Docker only: fetch missing images.
    pub pull: bool,
    /// Docker only: the engine's storage can limit a container's disk.
    pub disk_quota: bool,
    /// Docker only: labs of virtual machines get `/dev/kvm`.
    pub kvm: bool,
    /// Process only.
    pub state_dir: PathBuf,
    /// Kubernetes only.
    pub kubernetes: KubernetesConfig,
}

/// Where sandboxes are asked for on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Empty only where the runtime is another.
    pub namespace: String,
    pub connect: Connect,
}

/// See [`RuntimeConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeKind {
    Docker,
    Process,
    Kubernetes,
}

impl RuntimeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// How much at once.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    pub sandboxes_max: usize,
    pub connections_max: usize,
    pub bearer_ttl: Duration,
    pub staff_login_max: Duration,
    pub reconcile_every: Duration,
    pub freeze_grace: Duration,
    /// Journal of one session that is recorded.
    pub recording_bytes_max: u64,
    /// Between the first sign that this process goes away (`/readyz`) and the first thing it stops doing.
    pub drain_notice: Duration,
}

/// The door.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    pub frame_ancestors: Vec<String>,
    pub proxies: usize,
    pub metrics_token: Option<SecretString>,
    pub demos_dir: Option<PathBuf>,
}

/// Learning platforms.
#[derive(Clone, Debug, Default)]
pub struct LtiConfig {
    /// Hosts that may be asked although they are in a private network.
    pub private_hosts: Vec<String>,
}

/// What is written to standard error.
#[derive(Clone, Debug)]
pub struct LogConfig {
    pub json: bool,
    /// As of `tracing`'s `EnvFilter`, e.g. `info,lab_app=debug`.
    pub filter: String,
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Like `runtime.kind`.
    pub key: String,
    /// One line; never a secret.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// Everything wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} problem(s) in the configuration:", self.0.len())?;
        for p in &self.0 {
            write!(f, "\n  {}: found {}; {}", p.key, p.found, p.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Where the agent is, if it is anywhere: given, beside this program, where `make agent` puts it, or in the data folder.
    pub fn agent(&self) -> Option<PathBuf> {
        if let Some(path) = &self.runtime.agent {
            return Some(path.clone()).filter(|p| p.is_file());
        }
        let folder = std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(PathBuf::from))
            .unwrap_or_default();
        // cargo's folder of a static program: target/<host>/release, beside target/release
        let made = format!("../{}-unknown-linux-gnu/release/lab-agent", std::env::consts::ARCH);
        [
            folder.join("lab-agent"),
            folder.join(made),
            self.data_dir.join("lab-agent"),
        ]
        .into_iter()
        .find(|p| p.is_file())
    }

    /// Whether labs are only looked at for what they write to this machine's disk, and not kept from it.
    pub fn disk_only_watched(&self) -> bool {
        self.runtime.kind == RuntimeKind::Docker && !self.runtime.disk_quota
    }

    /// Whether only one `serve` may use the database: SQLite has one writer.
    pub fn single_process(&self) -> bool {
        use secrecy::ExposeSecret;
        self.database.expose_secret().starts_with("sqlite:")
    }

    /// The settings in force, as YAML, with secrets left out.
    pub fn redacted(&self) -> String {
        use secrecy::ExposeSecret;
        let yaml = |p: &std::path::Path| serde_json::Value::from(p.display().to_string());
        let seconds = |d: Duration| format!("{}s", d.as_secs());
        let mut value = serde_json::json!({
            "installation": self.installation,
            "listen": self.listen.to_string(),
            "public_url": self.public_url,
            "data_dir": yaml(&self.data_dir),
            "database": without_password(self.database.expose_secret()),
            "recordings": self.recordings.shown(),
            "s3": self.recordings.shown_bucket(),
            "replicas": self.replicas,
            "migrate": self.migrate,
            "labs_dir": self.labs_dir.as_deref().map(yaml),
            "runtime": {
                "kind": self.runtime.kind.name(),
                "agent": self.agent().as_deref().map(yaml),
                "host": self.runtime.host,
                "pull": self.runtime.pull,
                "disk_quota": self.runtime.disk_quota,
                "kvm": self.runtime.kvm,
                "state_dir": yaml(&self.runtime.state_dir),
                "kubernetes": {
                    "namespace": self.runtime.kubernetes.namespace,
                    "connect": self.runtime.kubernetes.connect.name(),
                },
            },
            "controller": self.controller.shown(),
            "keys": self.keys.iter().map(|k| serde_json::json!({"id": k.id, "secret": "(set)"})).collect::<Vec<_>>(),
            "limits": {
                "sandboxes_max": self.limits.sandboxes_max,
                "connections_max": self.limits.connections_max,
                "bearer_ttl": seconds(self.limits.bearer_ttl),
                "staff_login_max": seconds(self.limits.staff_login_max),
                "reconcile_every": seconds(self.limits.reconcile_every),
                "freeze_grace": seconds(self.limits.freeze_grace),
                "recording_bytes_max": reader::shown_size(self.limits.recording_bytes_max),
                "drain_notice": seconds(self.limits.drain_notice),
            },
            "pools": pools::shown_pools(&self.pools),
            "plans": self.plans,
            "courses": self.courses,
            "http": {
                "frame_ancestors": self.http.frame_ancestors,
                "proxies": self.http.proxies,
                "metrics_token": self.http.metrics_token.as_ref().map(|_| "(set)"),
                "demos_dir": self.http.demos_dir.as_deref().map(yaml),
            },
            "lti": {"private_hosts": self.lti.private_hosts},
            "staff_login": staff::shown(self.staff.as_ref()),
            "privacy": self.privacy.shown(),
            "log": {"format": if self.log.json { "json" } else { "human" }, "filter": self.log.filter},
        });
        accounts::shown(self, &mut value);
        serde_yaml::to_string(&value).expect("plain data is YAML")
    }
}

/// `postgres://user:secret@host/db` as `postgres://user:(set)@host/db`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((login, place)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:(set)@{place}"),
        None => url.to_owned(),
    }
}
