//! `runtime.kubernetes`: where sandboxes are asked for, and how their agents are reached.

use super::{KubernetesConfig, Problem, reader::Section};
use lab_runtime_kubernetes::runtime::Connect;
use std::path::Path;

/// Where a pod is told its own namespace.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The section; `used` when it is the runtime that counts.
pub(super) fn read(mut s: Section, used: bool, problems: &mut Vec<Problem>) -> KubernetesConfig {
    let named = s.parsed(
        "namespace",
        None,
        "write the namespace of the sandboxes: 1 to 63 of a-z, 0-9 and '-'",
        problems,
        |n| namespace_ok(n).then(|| n.to_owned()),
    );
    let connect = s.parsed(
        "connect",
        None,
        "use pod (inside the cluster) or port-forward (outside)",
        problems,
        |c| [Connect::Pod, Connect::PortForward].into_iter().find(|k| k.name() == c),
    );
    s.close(problems);
    let namespace = named.or_else(|| own_namespace(Path::new(OWN_NAMESPACE)));
    if used && namespace.is_none() && !problems.iter().any(|p| p.key == "runtime.kubernetes.namespace") {
        problems.push(Problem {
            key: "runtime.kubernetes.namespace".into(),
            found: "nothing, and this is not a pod that has one".into(),
            remedy: "write the namespace where `labwire controller` makes sandboxes".into(),
        });
    }
    KubernetesConfig {
        namespace: namespace.unwrap_or_default(),
        connect: connect.unwrap_or_default(),
    }
}

fn own_namespace(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.trim().to_owned()).filter(|n| namespace_ok(n))
}

fn namespace_ok(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(yaml: &str, used: bool) -> (KubernetesConfig, Vec<Problem>) {
        let mut problems = Vec::new();
        let section = Section::open(
            "runtime.kubernetes",
            serde_yaml::from_str(yaml).expect("YAML"),
            &mut problems,
        );
        let config = read(section, used, &mut problems);
        (config, problems)
    }

    #[test]
    fn what_is_given_is_taken_and_pods_are_reached_directly_by_default() {
        let (config, problems) = of("{namespace: labs}", true);
        assert_eq!(problems, []);
        assert_eq!((config.namespace.as_str(), config.connect), ("labs", Connect::Pod));
        let (config, _) = of("{namespace: labs, connect: port-forward}", true);
        assert_eq!(config.connect, Connect::PortForward);
    }

    #[test]
    fn every_problem_names_its_key() {
        let (_, problems) = of("{namespace: Labs_, connect: tunnel, node: x}", true);
        let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "runtime.kubernetes.namespace",
                "runtime.kubernetes.connect",
                "runtime.kubernetes.node"
            ]
        );
    }

    #[test]
    fn a_namespace_is_asked_for_only_where_it_counts() {
        assert_eq!(of("{}", false).1, []);
        assert_eq!(of("{}", true).1[0].key, "runtime.kubernetes.namespace");
    }

    #[test]
    fn a_pod_knows_its_own_namespace() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("namespace");
        assert_eq!(own_namespace(&file), None);
        std::fs::write(&file, "labwire-labs\n").expect("written");
        assert_eq!(own_namespace(&file).as_deref(), Some("labwire-labs"));
    }
}
