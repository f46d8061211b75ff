//! From settings to ports: one small function an adapter.

use crate::{
    adapters::{SystemClock, SystemEntropy},
    config::{BucketConfig, Config, MailConfig, Recordings, RuntimeKind},
};
use anyhow::{Context, Result, bail};
use lab_app::{
    Ports, Settings,
    launch::Keyring,
    metering::{AlertSettings, Webhook},
};
use lab_core::port::{Blobs, Clock, Entropy, Mail, NoMail, Platform, Runtime, Store, StoreError};
use lab_platform::{HttpPlatform, SmtpMail};
use lab_runtime_docker::{DockerOptions, DockerRuntime};
use lab_runtime_kubernetes::{
    controller::{ControllerSettings, ServePods},
    runtime::{KubernetesOptions, KubernetesRuntime},
};
use lab_runtime_process::{ProcessOptions, ProcessRuntime};
use lab_store::{ObjectBlobs, S3Options, SqlStore, StoreOptions};
use prometheus::Registry;
use secrecy::ExposeSecret;
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The system's randomness.
pub fn entropy() -> SystemEntropy {
    SystemEntropy
}

/// The system's clock.
pub fn clock() -> SystemClock {
    SystemClock::new()
}

/// Makes a folder that only its owner may enter.
pub fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// A replica that finds an older schema waits so long for whoever migrates: a hook that runs at the same time is done by then.
const MIGRATED_WITHIN: Duration = Duration::from_mins(5);
/// … and looks this often.
const MIGRATED_LOOK: Duration = Duration::from_secs(2);

/// The database, brought up to date where this program may. A file that was not there is said aloud: a grant in a database that no
/// server uses helps nobody.
pub async fn store(config: &Config) -> Result<Arc<SqlStore>> {
    let store = open(config).await?.context(CANNOT_OPEN)?;
    if store.is_new() {
        let url = config.database.expose_secret();
        let what = match url.strip_prefix("sqlite:") {
            Some(rest) => format!("{} was not there", rest.split('?').next().unwrap_or(rest)),
            // its address may hold a password
            None => "the database was empty".to_owned(),
        };
        eprintln!("labwire: {what}: a new, empty one is made. Another one is meant? Give --config FILE");
    }
    Ok(Arc::new(store))
}

/// The database as by [`store`], or as soon as somebody else has brought it up to date.
pub async fn store_when_migrated(config: &Config) -> Result<Arc<SqlStore>> {
    let since = tokio::time::Instant::now();
    let mut told = false;
    loop {
        match open(config).await? {
            Err(error @ StoreError::Older { .. }) if since.elapsed() < MIGRATED_WITHIN => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "waiting for the database to be migrated");
                }
                tokio::time::sleep(MIGRATED_LOOK).await;
            }
            opened => return Ok(Arc::new(opened.context(CANNOT_OPEN)?)),
        }
    }
}

const CANNOT_OPEN: &str = "cannot open the database (setting: database)";

async fn open(config: &Config) -> Result<std::result::Result<SqlStore, StoreError>> {
    make_dir(&config.data_dir)?;
    let options = StoreOptions {
        migrate: config.migrate,
    };
    Ok(SqlStore::open(config.database.expose_secret(), options).await)
}

/// The recordings' folder or bucket.
pub fn blobs(config: &Config) -> Result<Arc<dyn Blobs>> {
    let blobs = match &config.recordings {
        Recordings::Folder(path) => ObjectBlobs::directory(path),
        Recordings::Bucket(bucket) => ObjectBlobs::s3(&s3_options(bucket)),
    };
    let place = config.recordings.shown();
    Ok(Arc::new(blobs.with_context(|| {
        format!("cannot use {place} (setting: recordings)")
    })?))
}

fn s3_options(bucket: &BucketConfig) -> S3Options {
    let secret = bucket.secret_key.as_ref().map(|s| s.expose_secret().to_owned());
    S3Options {
        bucket: bucket.bucket.clone(),
        prefix: bucket.prefix.clone(),
        endpoint: bucket.endpoint.clone(),
        region: bucket.region.clone(),
        path_style: bucket.path_style,
        keys: bucket.access_key.clone().zip(secret),
    }
}

/// What makes sandboxes. Its metrics, where it has some, are in `registry`.
pub async fn runtime(config: &Config, registry: &Registry) -> Result<Arc<dyn Runtime>> {
    let installation = config.installation.clone();
    Ok(match config.runtime.kind {
        RuntimeKind::Docker => Arc::new(DockerRuntime::open(DockerOptions {
            host: config.runtime.host.clone(),
            pull: config.runtime.pull,
            disk_quota: config.runtime.disk_quota,
            kvm: config.runtime.kvm,
            ..DockerOptions::new(installation, agent(config)?)
        })?),
        RuntimeKind::Process => {
            // first, as nothing is made where something is missing
            let agent = agent(config)?;
            make_dir(&config.runtime.state_dir)?;
            Arc::new(ProcessRuntime::open(ProcessOptions {
                agent,
                state_dir: config.runtime.state_dir.canonicalize().context("runtime.state_dir")?,
                installation,
            })?)
        }
        // the agent is in Labwire's image, where the controller takes it from
        RuntimeKind::Kubernetes => Arc::new(kubernetes(config, registry).await?),
    })
}

/// What the controller decides by. It leads under the name of its pod, which is the host's name there.
pub fn controller_settings(config: &Config) -> Result<ControllerSettings> {
    let c = config.controller.clone();
    let namespace = config.runtime.kubernetes.namespace.clone();
    if config.runtime.kind != RuntimeKind::Kubernetes {
        bail!(
            "runtime.kind is {}; the controller is for kubernetes",
            config.runtime.kind.name()
        );
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").context("cannot read this machine's name")?;
    // two of them on one machine are two
    let identity = format!("{}-{}", host.trim(), std::process::id());
    let serve = ServePods {
        namespace: c.serve_namespace.filter(|n| *n != namespace),
        ..ServePods::default()
    };
    Ok(ControllerSettings {
        image_pull_policy: c.image_pull_policy,
        image_pull_secrets: c.image_pull_secrets,
        seccomp: c.seccomp,
        proc_mount_unmasked: c.proc_mount_unmasked,
        host_users: c.host_users,
        runtime_class: c.runtime_class,
        node_selector: c.node_selector,
        tolerations: c.tolerations,
        priority_class: c.priority_class,
        kvm_resource: c.kvm_resource,
        cpu_overcommit: c.cpu_overcommit,
        concurrency: c.concurrency,
        serve,
        ..ControllerSettings::new(config.installation.clone(), namespace, c.image, identity)
    })
}

/// Sandboxes on a cluster.
pub async fn kubernetes(config: &Config, registry: &Registry) -> Result<KubernetesRuntime> {
    let options = KubernetesOptions {
        installation: config.installation.clone(),
        namespace: config.runtime.kubernetes.namespace.clone(),
        connect: config.runtime.kubernetes.connect,
    };
    let opened = KubernetesRuntime::open(options, registry).await;
    opened.context("cannot find a cluster (KUBECONFIG, ~/.kube/config, or a pod's service account)")
}

/// The program that goes into sandboxes.
fn agent(config: &Config) -> Result<PathBuf> {
    config.agent().context(
        "lab-agent is not found; build it with `make agent`, and put it beside labwire or name it (setting: runtime.agent, \
         variable: LABWIRE_AGENT)",
    )
}

/// Every port.
pub fn ports(
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    runtime: Arc<dyn Runtime>,
    platform: Arc<dyn Platform>,
    mail: Arc<dyn Mail>,
) -> Ports {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(clock()), Arc::new(entropy()));
    Ports {
        store,
        runtime,
        blobs,
        platform,
        mail,
        clock,
        entropy,
    }
}

/// What asks learning platforms.
pub fn platform(config: &Config) -> Result<Arc<dyn Platform>> {
    let platform = HttpPlatform::open(config.lti.private_hosts.clone());
    Ok(Arc::new(
        platform.context("cannot make the client that asks learning platforms")?,
    ))
}

/// What sends mail, where a server is set.
pub fn mail(config: &Config) -> Result<Arc<dyn Mail>> {
    let Some(MailConfig { server, from, .. }) = &config.accounts.mail else {
        return Ok(Arc::new(NoMail));
    };
    let mail = SmtpMail::open(server.expose_secret(), from).context("alerts.mail")?;
    Ok(Arc::new(mail))
}

/// Who is told when time runs low.
fn alerts(config: &Config) -> AlertSettings {
    let accounts = &config.accounts;
    let program = AlertSettings::default();
    AlertSettings {
        every: accounts.every.unwrap_or(program.every),
        webhook: accounts.webhook.as_ref().map(|w| Webhook {
            url: w.url.clone(),
            secret: w.secret.clone(),
        }),
        mail_to: accounts.mail.as_ref().map(|m| m.to.clone()).unwrap_or_default(),
    }
}

/// Keys of links.
pub fn keyring(config: &Config) -> Result<Keyring> {
    Keyring::new(&config.keys).context("keys")
}

/// What `lab-app` decides by.
pub fn settings(config: &Config, holder: String) -> Settings {
    Settings {
        installation: config.installation.clone(),
        public_url: config.public_url.clone(),
        private_hosts: config.lti.private_hosts.clone(),
        staff: config.staff.clone(),
        holder,
        sandboxes_max: config.limits.sandboxes_max,
        pools: config.pools.clone(),
        bearer_ttl: config.limits.bearer_ttl,
        staff_login_max: config.limits.staff_login_max,
        reconcile_every: config.limits.reconcile_every,
        freeze_grace: config.limits.freeze_grace,
        recording_bytes_max: config.limits.recording_bytes_max,
        alerts: alerts(config),
        notice: config.privacy.notice.clone(),
        retention_every: config.privacy.every,
        ..Settings::default()
    }
}

/// That no other `serve` uses the data folder; freed by the kernel when this process ends, however it ends.
pub struct DataLock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

/// Takes the data folder for this process.
pub fn lock(config: &Config) -> Result<DataLock> {
    make_dir(&config.data_dir)?;
    let path = config.data_dir.join("serve.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DataLock(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another `labwire serve` uses {}; stop it, or choose another data_dir (several servers at once need Postgres)",
            config.data_dir.display()
        ),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// This process as a holder of leases. With SQLite the data folder's lock proves that the process before is dead, so its leases
/// are taken over at once by bearing the same name; otherwise the name is unique and leases run out by themselves.
pub fn holder(config: &Config) -> String {
    if config.single_process() {
        format!("{}/only", config.installation)
    } else {
        let random = entropy().bytes32();
        format!(
            "{}/{}",
            config.installation,
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &random)
        )
    }
}
