//! What a sandbox is, in the engine's words. Pure.

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use lab_core::{
    SandboxId,
    lab::{NetworkPolicy, RuntimeKind},
    port::SandboxSpec,
};
use std::collections::HashMap;

/// The agent, inside.
pub(crate) const AGENT: &str = "/labwire/lab-agent";
/// What it is told.
pub(crate) const SPEC: &str = "/labwire/spec.json";
/// Its socket and journal.
pub(crate) const RUN_DIR: &str = "/labwire/run";

/// Labels: how sandboxes are found, and what `docker ps` shows of them.
pub(crate) const LABEL_INSTALLATION: &str = "labwire.installation";
pub(crate) const LABEL_SANDBOX: &str = "labwire.sandbox";
pub(crate) const LABEL_SESSION: &str = "labwire.session";
const LABEL_LAB: &str = "labwire.lab";
const LABEL_DIGEST: &str = "labwire.digest";
const LABEL_DEADLINE: &str = "labwire.deadline-secs";
/// What its files may have, in MiB: see `disk.rs`.
pub(crate) const LABEL_DISK_MIB: &str = "labwire.disk-mib";

/// Time the agent has after a polite stop (an engine that shuts down) before it is killed: it says goodbye to its terminals
/// and waits up to 5 s for the recorder.
const STOP_SECS: i64 = 8;

/// Open files of one process: FRR and a tshark on every link stay under 1000.
const OPEN_FILES_MAX: i64 = 4096;

/// The agent's own log, for `docker logs` when a lab does not come up. Not `local`, which Podman does not know.
const LOG_BYTES_MAX: &str = "256k";

/// Settings that are the same for every sandbox.
pub(crate) struct Site {
    pub installation: String,
    /// Seccomp profile (JSON) of labs that make namespaces.
    pub seccomp: String,
    /// Whether the engine's storage can limit a container's disk.
    pub disk_quota: bool,
    /// When labs of virtual machines get [`KVM`]: the groups that their user joins for it.
    pub kvm: Option<Vec<u32>>,
}

/// The processor's help for virtual machines.
pub(crate) const KVM: &str = "/dev/kvm";

/// Ids have 36 digits, so no two (installation, id) share a name.
pub(crate) fn name(installation: &str, id: SandboxId) -> String {
    format!("labwire-{installation}-{id}")
}

/// Everything but the files.
pub(crate) fn body(site: &Site, spec: &SandboxSpec) -> ContainerCreateBody {
    let SandboxSpec {
        id,
        session,
        lab,
        digest,
        image,
        size,
        user,
        namespaces: _,                // in host_config
        runtime: _,                   // a machine is a program of the lab's image: the same container
        network: NetworkPolicy::None, // in host_config; another policy must be decided there
        deadline_secs,
        agent: _, // uploaded as a file: an environment variable would be seen by every process
    } = spec;
    let (.., disk_mib) = size.limits();
    let labels = [
        (LABEL_INSTALLATION, site.installation.clone()),
        (LABEL_SANDBOX, id.to_string()),
        (LABEL_SESSION, session.to_string()),
        (LABEL_LAB, lab.to_string()),
        (LABEL_DIGEST, digest.to_string()),
        (LABEL_DEADLINE, deadline_secs.to_string()),
        (LABEL_DISK_MIB, disk_mib.to_string()),
    ];
    let args = [
        "run",
        "--spec",
        SPEC,
        "--dir",
        RUN_DIR,
        "--deadline",
        &deadline_secs.to_string(),
    ];
    ContainerCreateBody {
        image: Some(image.clone()),
        // As entrypoint and arguments: an image's own entrypoint would else be put before it.
        entrypoint: Some(vec![AGENT.into()]),
        cmd: Some(args.map(str::to_owned).to_vec()),
        user: Some(user.to_string()),
        working_dir: Some("/".into()),
        hostname: Some("lab".into()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
        // An image's health check would run beside the lab, in its limits.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        stop_timeout: Some(STOP_SECS),
        host_config: Some(host_config(site, spec)),
        ..ContainerCreateBody::default()
    }
}

/// Deny by default: no network, no capability, no way to more privilege, no more than the lab's size.
fn host_config(site: &Site, spec: &SandboxSpec) -> HostConfig {
    let (milli_cpu, memory_mib, processes, disk_mib) = spec.size.limits();
    let memory = i64::from(memory_mib) * 1024 * 1024;
    let mut security = vec!["no-new-privileges".to_owned()];
    if spec.namespaces {
        security.push(format!("seccomp={}", site.seccomp));
    }
    // Labs that make namespaces mount a /proc of their own and set their own sysctls, which masks over the outer one forbid.
    // Absent means the engine's default masks; empty means none.
    let unmasked = spec.namespaces.then(Vec::new);
    // For machines only: whoever holds it reaches code of the machine's kernel that a container otherwise does not.
    let kvm = site.kvm.as_ref().filter(|_| spec.runtime == RuntimeKind::Vm);
    let device = DeviceMapping {
        path_on_host: Some(KVM.into()),
        path_in_container: Some(KVM.into()),
        cgroup_permissions: Some("rw".into()),
    };
    HostConfig {
        devices: kvm.map(|_| vec![device]),
        // The device stays its group's, and the lab's user is in no group.
        group_add: kvm.map(|groups| groups.iter().map(u32::to_string).collect()),
        network_mode: Some("none".into()),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(security),
        masked_paths: unmasked.clone(),
        readonly_paths: unmasked,
        memory: Some(memory),
        // Memory and swap together: the same number means no swap.
        memory_swap: Some(memory),
        // A thousandth of a CPU is a million billionths.
        nano_cpus: Some(i64::from(milli_cpu) * 1_000_000),
        pids_limit: Some(i64::from(processes)),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(OPEN_FILES_MAX),
            hard: Some(OPEN_FILES_MAX),
        }]),
        storage_opt: site
            .disk_quota
            .then(|| HashMap::from([("size".to_owned(), format!("{disk_mib}m"))])),
        // A new start would have an empty journal and be taken for the old session.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        // The agent reaps.
        init: Some(false),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_BYTES_MAX.to_owned()),
                ("max-file".to_owned(), "1".to_owned()),
            ])),
        }),
        ..HostConfig::default()
    }
}
