//! The pod: an init container brings the agent, the lab's image runs it. Deny by default.

use super::{
    super::settings::{AGENT_IN_IMAGE, Seccomp, Toleration},
    Wanted,
};
use crate::api::{AGENT_PORT, SECRET_CERTIFICATE, SECRET_KEY, SECRET_SPEC, SECRET_TOKEN_HASH};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, KeyToPath, LocalObjectReference, Pod, PodDNSConfig,
        PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
        Toleration as KubeToleration, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use std::collections::BTreeMap;

/// The agent ends the lab by itself after `deadlineSecs`. Kubernetes ends the pod this much later, should the agent be stuck: time to fetch an image
/// (the pod's clock runs from before that), to say goodbye and to have the recorder take the rest.
pub(crate) const DEADLINE_GRACE_SECS: i64 = 900;

/// Time the agent has after a polite stop (a drained node) before it is killed: it says goodbye to its terminals and waits up to
/// 5 s for the recorder.
const STOP_SECS: i64 = 8;

/// Containers of the pod.
pub(crate) const LAB_CONTAINER: &str = "lab";
pub(crate) const INIT_CONTAINER: &str = "agent";

/// The shared folder.
const DIR: &str = "/labwire";
/// Where the Secret is, for the init container only.
const SECRET_DIR: &str = "/secret";

/// Copying 5 MiB needs next to nothing; the node counts the larger of this and the lab's share.
const INIT_MILLI_CPU: u32 = 100;
const INIT_MEMORY_MIB: u32 = 64;
const INIT_DISK_MIB: u32 = 64;

/// The whole pod.
pub(crate) fn pod(wanted: &Wanted<'_>) -> Pod {
    let settings = wanted.settings;
    let mut metadata = wanted.metadata(wanted.object.name_any());
    // a node autoscaler must not move somebody's shells to save a node
    metadata.annotations = Some(BTreeMap::from([(
        "cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(),
        "false".to_owned(),
    )]));
    Pod {
        metadata,
        spec: Some(PodSpec {
            init_containers: Some(vec![init_container(wanted)]),
            containers: vec![lab_container(wanted)],
            volumes: Some(volumes(wanted)),
            // a new start would have an empty journal and be taken for the old session
            restart_policy: Some("Never".into()),
            active_deadline_seconds: Some(wanted.spec.deadline_secs + DEADLINE_GRACE_SECS),
            termination_grace_period_seconds: Some(STOP_SECS),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            hostname: Some("lab".into()),
            host_users: settings.host_users,
            // a lab has no route to a name server, and must not learn the cluster's names: a lookup fails at once
            dns_policy: Some("None".into()),
            dns_config: Some(PodDNSConfig {
                nameservers: Some(vec!["127.0.0.1".into()]),
                ..PodDNSConfig::default()
            }),
            security_context: Some(pod_security(wanted)),
            runtime_class_name: settings.runtime_class.clone(),
            node_selector: Some(settings.node_selector.clone()).filter(|s| !s.is_empty()),
            tolerations: some_list(settings.tolerations.iter().map(toleration)),
            priority_class_name: settings.priority_class.clone(),
            image_pull_secrets: some_list(
                settings
                    .image_pull_secrets
                    .iter()
                    .map(|name| LocalObjectReference { name: name.clone() }),
            ),
            ..PodSpec::default()
        }),
        status: None,
    }
}

/// Copies the agent and the Secret's files to where the lab's container starts them. A Secret's files are links into a folder that `cp` follows.
fn init_container(wanted: &Wanted<'_>) -> Container {
    let files = [SECRET_CERTIFICATE, SECRET_KEY, SECRET_TOKEN_HASH, SECRET_SPEC];
    let mut command = vec!["/bin/cp".to_owned(), AGENT_IN_IMAGE.to_owned()];
    command.extend(files.map(|file| format!("{SECRET_DIR}/{file}")));
    command.push(format!("{DIR}/"));
    Container {
        name: INIT_CONTAINER.into(),
        image: Some(wanted.settings.image.clone()),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        command: Some(command),
        security_context: Some(SecurityContext {
            read_only_root_filesystem: Some(true),
            seccomp_profile: Some(seccomp("RuntimeDefault", None)),
            ..container_security()
        }),
        resources: Some(both(BTreeMap::from([
            ("cpu".to_owned(), milli_cpu(INIT_MILLI_CPU)),
            ("memory".to_owned(), mebibytes(INIT_MEMORY_MIB)),
            ("ephemeral-storage".to_owned(), mebibytes(INIT_DISK_MIB)),
        ]))),
        volume_mounts: Some(vec![mount("labwire", DIR, false), mount("secret", SECRET_DIR, true)]),
        ..Container::default()
    }
}

/// The agent, in the lab's image. What the image itself would start is not asked.
fn lab_container(wanted: &Wanted<'_>) -> Container {
    let spec = wanted.spec;
    let file = |name: &str| format!("{DIR}/{name}");
    let command = [file("lab-agent"), "run".into()];
    let args = [
        ("--spec", file(SECRET_SPEC)),
        ("--dir", file("run")),
        ("--deadline", spec.deadline_secs.to_string()),
        ("--tls-listen", format!("0.0.0.0:{AGENT_PORT}")),
        ("--tls-cert", file(SECRET_CERTIFICATE)),
        ("--tls-key", file(SECRET_KEY)),
        ("--token-sha256", file(SECRET_TOKEN_HASH)),
    ];
    Container {
        name: LAB_CONTAINER.into(),
        image: Some(spec.image.to_owned()),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        command: Some(command.into()),
        args: Some(
            args.into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value])
                .collect(),
        ),
        working_dir: Some("/".into()),
        env: some_list(vm_hint(wanted)),
        security_context: Some(lab_security(wanted)),
        resources: Some(lab_resources(wanted)),
        volume_mounts: Some(vec![mount("labwire", DIR, false)]),
        ..Container::default()
    }
}

/// Tells a lab that runs a machine whether the node gave it /dev/kvm, so that it need not guess.
fn vm_hint(wanted: &Wanted<'_>) -> Option<EnvVar> {
    let kvm = wanted.settings.kvm_resource.is_some();
    wanted.spec.vm.then(|| EnvVar {
        name: "LABWIRE_KVM".into(),
        value: Some(if kvm { "1" } else { "0" }.into()),
        value_from: None,
    })
}

/// Not root, whatever the image says; files of the shared folder belong to the lab's user by the init container, which is the same user.
fn pod_security(wanted: &Wanted<'_>) -> PodSecurityContext {
    PodSecurityContext {
        run_as_user: Some(wanted.spec.user),
        run_as_non_root: Some(true),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

/// Labs that make namespaces need system calls that the node's default profile refuses, and may need a /proc without masks; nobody else gets them.
fn lab_security(wanted: &Wanted<'_>) -> SecurityContext {
    let profile = match &wanted.settings.seccomp {
        _ if !wanted.spec.namespaces => seccomp("RuntimeDefault", None),
        Seccomp::Localhost(path) => seccomp("Localhost", Some(path.clone())),
        Seccomp::RuntimeDefault => seccomp("RuntimeDefault", None),
        Seccomp::Unconfined => seccomp("Unconfined", None),
    };
    let unmasked = wanted.spec.namespaces && wanted.settings.proc_mount_unmasked;
    SecurityContext {
        seccomp_profile: Some(profile),
        proc_mount: unmasked.then(|| "Unmasked".into()),
        ..container_security()
    }
}

fn seccomp(type_: &str, localhost_profile: Option<String>) -> SeccompProfile {
    SeccompProfile {
        type_: type_.into(),
        localhost_profile,
    }
}

/// The size class's table, as on every runtime. How many processes it may have is not a pod's to say: see `podPidsLimit` of the kubelet.
fn lab_resources(wanted: &Wanted<'_>) -> ResourceRequirements {
    let (cpu, memory_mib, _processes, disk_mib) = wanted.spec.size.limits();
    let mut limits = BTreeMap::from([
        ("cpu".to_owned(), milli_cpu(cpu)),
        ("memory".to_owned(), mebibytes(memory_mib)),
        ("ephemeral-storage".to_owned(), mebibytes(disk_mib)),
    ]);
    if let Some(kvm) = wanted.settings.kvm_resource.as_ref().filter(|_| wanted.spec.vm) {
        limits.insert(kvm.clone(), Quantity("1".into()));
    }
    let mut requests = limits.clone();
    requests.insert(
        "cpu".to_owned(),
        milli_cpu((cpu / wanted.settings.cpu_overcommit.max(1)).max(1)),
    );
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits),
        claims: None,
    }
}

fn volumes(wanted: &Wanted<'_>) -> Vec<Volume> {
    let (_, _, _, disk_mib) = wanted.spec.size.limits();
    let item = |file: &str| KeyToPath {
        key: file.into(),
        path: file.into(),
        mode: None,
    };
    vec![
        Volume {
            name: "labwire".into(),
            // agent and journal
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(mebibytes(disk_mib)),
                medium: None,
            }),
            ..Volume::default()
        },
        Volume {
            name: "secret".into(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(wanted.object.name_any()),
                // read by the lab's user in the init container; no other container mounts it
                default_mode: Some(0o444),
                items: Some(
                    [SECRET_CERTIFICATE, SECRET_KEY, SECRET_TOKEN_HASH, SECRET_SPEC]
                        .map(item)
                        .into(),
                ),
                optional: None,
            }),
            ..Volume::default()
        },
    ]
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn toleration(of: &Toleration) -> KubeToleration {
    let Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = of.clone();
    KubeToleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    }
}

fn both(amounts: BTreeMap<String, Quantity>) -> ResourceRequirements {
    ResourceRequirements {
        requests: Some(amounts.clone()),
        limits: Some(amounts),
        claims: None,
    }
}

fn milli_cpu(amount: u32) -> Quantity {
    Quantity(format!("{amount}m"))
}

fn mebibytes(amount: u32) -> Quantity {
    Quantity(format!("{amount}Mi"))
}

fn some_list<T>(items: impl IntoIterator<Item = T>) -> Option<Vec<T>> {
    Some(items.into_iter().collect::<Vec<_>>()).filter(|l| !l.is_empty())
}
