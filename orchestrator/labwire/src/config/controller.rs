//! `controller`: how `labwire controller` makes pods of sandboxes. Only that command looks at it.

use super::{Problem, read::BOOLEAN, reader::Section, reader::shown};
use lab_runtime_kubernetes::controller::{ControllerSettings, Seccomp, Toleration};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, net::SocketAddr};

/// See `example.yaml`; the names are its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConfig {
    /// Probes and metrics.
    pub listen: SocketAddr,
    /// Labwire's own image: an init container takes the agent from it.
    pub image: String,
    pub image_pull_policy: Option<String>,
    pub image_pull_secrets: Vec<String>,
    pub seccomp: Seccomp,
    pub proc_mount_unmasked: bool,
    /// `Some(false)`: a user namespace for each pod.
    pub host_users: Option<bool>,
    pub runtime_class: Option<String>,
    pub node_selector: BTreeMap<String, String>,
    pub tolerations: Vec<Toleration>,
    pub priority_class: Option<String>,
    pub kvm_resource: Option<String>,
    /// A sandbox reserves this fraction of its size's CPUs.
    pub cpu_overcommit: u32,
    /// Sandboxes worked on at once.
    pub concurrency: usize,
    /// Where the pods of `labwire serve` are, when not beside the sandboxes.
    pub serve_namespace: Option<String>,
}

pub(super) fn controller(mut s: Section, problems: &mut Vec<Problem>) -> ControllerConfig {
    // what is not written is as the controller has it
    let ours = concat!("labwire/labwire:", env!("CARGO_PKG_VERSION"));
    let usual = ControllerSettings::new("", "", ours, "");
    let address = "write ADDRESS:PORT, like 0.0.0.0:8081";
    let listen = s.parsed("listen", None, address, problems, |a| a.parse().ok());
    let mut text = |key, remedy: &str, problems: &mut Vec<Problem>| s.parsed(key, None, remedy, problems, not_empty);
    let image = text("image", "write the name of Labwire's own image", problems);
    let runtime_class = text("runtime_class", "write the name of a RuntimeClass", problems);
    let priority_class = text("priority_class", "write the name of a PriorityClass", problems);
    let kvm_resource = text(
        "kvm_resource",
        "write a resource like devices.kubevirt.io/kvm",
        problems,
    );
    let serve_namespace = text("serve_namespace", "write the namespace of `labwire serve`", problems);
    let policies = "use Always, IfNotPresent or Never";
    let config = ControllerConfig {
        listen: listen.unwrap_or_else(|| ([127, 0, 0, 1], 8081).into()),
        image: image.unwrap_or(usual.image),
        image_pull_policy: s.parsed("image_pull_policy", None, policies, problems, |p| {
            ["Always", "IfNotPresent", "Never"].contains(&p).then(|| p.to_owned())
        }),
        image_pull_secrets: of_type(
            &mut s,
            "image_pull_secrets",
            "write a list of names of Secrets",
            problems,
        ),
        seccomp: s
            .parsed("seccomp", None, SECCOMP, problems, seccomp)
            .unwrap_or(usual.seccomp),
        proc_mount_unmasked: s
            .parsed("proc_mount", None, "use Default or Unmasked", problems, proc_mount)
            .unwrap_or(usual.proc_mount_unmasked),
        host_users: s
            .parsed("host_users", None, BOOLEAN, problems, |b| b.parse().ok())
            // true is what every cluster does by itself, and those before 1.25 do not know the word
            .filter(|host: &bool| !host),
        runtime_class,
        node_selector: of_type(&mut s, "node_selector", "write a mapping of labels", problems),
        tolerations: of_type(
            &mut s,
            "tolerations",
            "write a list of tolerations, as in a pod",
            problems,
        ),
        priority_class,
        kvm_resource,
        cpu_overcommit: s
            .parsed("cpu_overcommit", None, "write a whole number from 1", problems, |n| {
                n.parse().ok().filter(|n| *n > 0)
            })
            .unwrap_or(usual.cpu_overcommit),
        concurrency: s
            .parsed(
                "concurrency",
                None,
                "write a whole number from 1 to 256",
                problems,
                |n| n.parse().ok().filter(|n| (1..=256).contains(n)),
            )
            .unwrap_or(usual.concurrency),
        serve_namespace,
    };
    s.close(problems);
    config
}

impl ControllerConfig {
    /// As the file would have it; nothing in it is secret.
    pub(super) fn shown(&self) -> serde_json::Value {
        serde_json::json!({
            "listen": self.listen.to_string(),
            "image": self.image,
            "image_pull_policy": self.image_pull_policy,
            "image_pull_secrets": self.image_pull_secrets,
            "seccomp": match &self.seccomp {
                Seccomp::RuntimeDefault => "RuntimeDefault",
                Seccomp::Unconfined => "Unconfined",
                Seccomp::Localhost(path) => path,
            },
            "proc_mount": if self.proc_mount_unmasked { "Unmasked" } else { "Default" },
            "host_users": self.host_users,
            "runtime_class": self.runtime_class,
            "node_selector": self.node_selector,
            "tolerations": self.tolerations,
            "priority_class": self.priority_class,
            "kvm_resource": self.kvm_resource,
            "cpu_overcommit": self.cpu_overcommit,
            "concurrency": self.concurrency,
            "serve_namespace": self.serve_namespace,
        })
    }
}

const SECCOMP: &str =
    "use RuntimeDefault, Unconfined, or a path below the kubelet's seccomp folder, like labwire/lab.json";

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn seccomp(text: &str) -> Option<Seccomp> {
    match text {
        "RuntimeDefault" => Some(Seccomp::RuntimeDefault),
        "Unconfined" => Some(Seccomp::Unconfined),
        path => {
            let inside = !path.starts_with('/') && !path.split('/').any(|part| part.is_empty() || part == "..");
            inside.then(|| Seccomp::Localhost(path.to_owned()))
        }
    }
}

fn proc_mount(text: &str) -> Option<bool> {
    match text {
        "Default" => Some(false),
        "Unmasked" => Some(true),
        _ => None,
    }
}

/// A value that is more than text.
fn of_type<T: DeserializeOwned + Default>(
    s: &mut Section,
    key: &'static str,
    remedy: &str,
    problems: &mut Vec<Problem>,
) -> T {
    let Some(value) = s.take(key) else {
        return T::default();
    };
    let found = shown(&value);
    serde_yaml::from_value(value).unwrap_or_else(|e| {
        problems.push(Problem {
            key: format!("controller.{key}"),
            found: format!("{found} ({e})"),
            remedy: remedy.to_owned(),
        });
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (ControllerConfig, Vec<String>) {
        let mut problems = Vec::new();
        let section = Section::open("controller", serde_yaml::from_str(yaml).expect("YAML"), &mut problems);
        let config = controller(section, &mut problems);
        (config, problems.into_iter().map(|p| p.key).collect())
    }

    #[test]
    fn nothing_written_is_the_safe_choice() {
        let (config, problems) = read("{}");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(config.seccomp, Seccomp::Localhost("labwire/lab.json".into()));
        assert!(!config.proc_mount_unmasked && config.host_users.is_none());
        assert!(config.listen.ip().is_loopback());
        assert!(config.image.starts_with("labwire/labwire:"));
    }

    #[test]
    fn what_is_written_is_taken() {
        let (config, problems) = read(
            "{listen: '0.0.0.0:1', image: x/y:1, image_pull_secrets: [a, b], seccomp: Unconfined, proc_mount: Unmasked, host_users: false, \
             node_selector: {pool: labs}, tolerations: [{key: labs, operator: Exists, effect: NoSchedule}], serve_namespace: labwire}",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(config.image_pull_secrets, ["a", "b"]);
        assert_eq!(config.seccomp, Seccomp::Unconfined);
        assert_eq!((config.proc_mount_unmasked, config.host_users), (true, Some(false)));
        assert_eq!(config.node_selector["pool"], "labs");
        assert_eq!(config.tolerations[0].operator.as_deref(), Some("Exists"));
        assert_eq!(config.serve_namespace.as_deref(), Some("labwire"));
        assert_eq!(
            read("{host_users: true}").0.host_users,
            None,
            "older clusters do not know the word"
        );
    }

    #[test]
    fn every_problem_names_its_key() {
        let (_, problems) = read(
            "{listen: 8081, image_pull_policy: Sometimes, image_pull_secrets: a, seccomp: ../x, proc_mount: open, node_selector: [a], \
             tolerations: [{effekt: NoSchedule}], cpu_overcommit: 0, concurrency: many, nodes: 3}",
        );
        let expected = [
            "listen",
            "image_pull_policy",
            "image_pull_secrets",
            "seccomp",
            "proc_mount",
            "node_selector",
            "tolerations",
            "cpu_overcommit",
            "concurrency",
            "nodes",
        ];
        assert_eq!(problems, expected.map(|key| format!("controller.{key}")));
    }
}
