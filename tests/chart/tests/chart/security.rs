//! What the chart's own pods may do, and what is never in the chart.

use lab_chart::{
    EVERYTHING, PRODUCTION, PRODUCTION_FILE, Rendered, annotation, at, list, name, production, template, text, trial,
};
use serde_yaml::Value;

/// The one that is allowed to be more: off by default, explained in docs/operations.md.
const INSTALLER: &str = "DaemonSet/labwire-seccomp";

fn charts() -> [Rendered; 3] {
    [trial(&[]), production(&[]), production(EVERYTHING)]
}

/// The rules of the restricted Pod Security level, and two of ours: a read-only root and a bound on memory.
fn problems(pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut want = |ok: bool, what: &str| {
        if !ok {
            problems.push(what.to_owned());
        }
    };
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        want(at(pod, host).is_null(), host);
    }
    let kinds = [
        "configMap",
        "secret",
        "emptyDir",
        "projected",
        "downwardAPI",
        "persistentVolumeClaim",
    ];
    for volume in list(pod, "volumes") {
        want(
            kinds.iter().any(|kind| volume.get(kind).is_some()),
            "a volume of another kind",
        );
    }
    let seccomp = text(pod, "securityContext/seccompProfile/type");
    want(["RuntimeDefault", "Localhost"].contains(&seccomp), "seccomp");
    let containers: Vec<&Value> = list(pod, "initContainers")
        .iter()
        .chain(list(pod, "containers"))
        .collect();
    want(!containers.is_empty(), "no container");
    for container in containers {
        let either =
            |key: &str| [container, pod].map(|v| at(v, "securityContext").get(key).cloned().unwrap_or_default());
        let [own, pods] = either("runAsNonRoot");
        want(own == true || (own.is_null() && pods == true), "runAsNonRoot");
        let [own, pods] = either("runAsUser");
        want(own != 0 && (pods != 0 || !own.is_null()), "runAsUser 0");
        let security = at(container, "securityContext");
        want(
            at(security, "allowPrivilegeEscalation") == &Value::Bool(false),
            "allowPrivilegeEscalation",
        );
        want(
            list(security, "capabilities/drop") == [Value::from("ALL")],
            "capabilities.drop",
        );
        want(at(security, "capabilities/add").is_null(), "capabilities.add");
        want(at(security, "privileged").is_null(), "privileged");
        want(
            at(security, "readOnlyRootFilesystem") == &Value::Bool(true),
            "readOnlyRootFilesystem",
        );
        want(at(container, "ports/0/hostPort").is_null(), "hostPort");
        want(
            !at(container, "resources/limits/memory").is_null(),
            "resources.limits.memory",
        );
        want(
            !at(container, "resources/requests/cpu").is_null(),
            "resources.requests.cpu",
        );
    }
    problems
}

#[test]
fn every_pod_passes_the_restricted_level_but_the_one_that_is_explained() {
    for chart in charts() {
        for (name, pod) in chart.pods() {
            if name != INSTALLER {
                assert_eq!(problems(pod), Vec::<String>::new(), "{name}");
            }
        }
    }
}

/// Root, for the kubelet's folder belongs to it; nothing else, and not for longer than a copy takes.
#[test]
fn the_profiles_installer_is_root_only_while_it_copies() {
    let chart = production(EVERYTHING);
    let pod = at(chart.get(INSTALLER), "spec/template/spec");
    assert_eq!(
        problems(pod),
        ["a volume of another kind", "runAsNonRoot", "runAsUser 0"]
    );
    assert_eq!(list(pod, "initContainers").len(), 1);
    assert_eq!(
        *at(pod, "containers/0/securityContext/runAsNonRoot"),
        true,
        "what stays is nobody"
    );
    assert!(
        list(pod, "containers/0/volumeMounts").is_empty(),
        "what stays sees nothing of the node"
    );
    assert_eq!(text(pod, "volumes/0/hostPath/path"), "/var/lib/kubelet/seccomp");
}

#[test]
fn only_serve_and_controller_can_speak_to_the_api_server() {
    for chart in charts() {
        for (name, pod) in chart.pods() {
            let account = text(pod, "serviceAccountName");
            if at(pod, "automountServiceAccountToken").is_null() {
                let expected = ["labwire-serve", "labwire-controller"];
                assert!(expected.contains(&account), "{name} has a token of {account:?}");
            } else {
                assert_eq!(*at(pod, "automountServiceAccountToken"), false, "{name}");
            }
        }
    }
}

#[test]
fn rights_are_few_and_of_one_namespace() {
    for chart in charts() {
        let names = chart.names();
        assert!(!names.iter().any(|n| n.starts_with("Cluster")), "{names:?}");
        let roles = chart.0.iter().filter(|object| text(object, "kind") == "Role");
        for (role, rule) in roles.flat_map(|role| list(role, "rules").iter().map(move |rule| (name(role), rule))) {
            let words = |key: &str| {
                list(rule, key)
                    .iter()
                    .map(|v| v.as_str().expect("text").to_owned())
                    .collect::<Vec<_>>()
            };
            let (resources, verbs) = (words("resources"), words("verbs"));
            let all = [words("apiGroups"), resources.clone(), verbs.clone()].concat();
            assert!(!all.contains(&"*".to_owned()), "{role}: {all:?}");
            for never in ["escalate", "bind", "impersonate", "deletecollection"] {
                assert!(!verbs.contains(&never.to_owned()), "{role}: {never} {resources:?}");
            }
            for never in [
                "pods/exec",
                "pods/attach",
                "pods/log",
                "serviceaccounts/token",
                "roles",
                "rolebindings",
            ] {
                assert!(!resources.contains(&never.to_owned()), "{role}: {never}");
            }
            if resources.contains(&"secrets".to_owned()) {
                assert!(
                    !verbs.iter().any(|v| v == "list" || v == "watch"),
                    "{role}: all Secrets at once"
                );
            }
        }
    }
}

/// Every rule says why: a comment of its own, between its resources and its verbs.
#[test]
fn every_rule_says_why_it_is_there() {
    for file in ["helm/templates/serve-rbac.yaml", "helm/templates/controller-rbac.yaml"] {
        let text = lab_chart::read(file);
        for (n, verbs) in text.lines().collect::<Vec<_>>().windows(2).enumerate() {
            if verbs[1].trim_start().starts_with("verbs:") {
                assert!(
                    verbs[0].trim_start().starts_with('#'),
                    "{file}:{}: no reason above {}",
                    n + 2,
                    verbs[1]
                );
            }
        }
    }
}

#[test]
fn no_secret_is_in_the_chart_and_all_come_by_name() {
    for chart in charts() {
        assert!(!chart.names().iter().any(|n| n.starts_with("Secret/")));
        for (name, pod) in chart.pods() {
            for variable in list(pod, "containers").iter().flat_map(|c| list(c, "env")) {
                let secret = ["DATABASE", "KEY", "TOKEN"]
                    .iter()
                    .any(|word| text(variable, "name").contains(word));
                assert!(
                    !secret || !text(variable, "valueFrom/secretKeyRef/name").is_empty(),
                    "{name}: {variable:?}"
                );
            }
        }
    }
}

/// A learner's code reaches nothing: first all is denied, then the controller opens what one lab says.
#[test]
fn labs_are_denied_everything_before_anything_is_allowed() {
    for chart in charts() {
        let policy = chart.get("NetworkPolicy/labwire-labs");
        assert_eq!(list(policy, "spec/policyTypes").len(), 2);
        assert!(at(policy, "spec/ingress").is_null() && at(policy, "spec/egress").is_null());
    }
    let shared = trial(&[]);
    let selector = at(shared.get("NetworkPolicy/labwire-labs"), "spec/podSelector");
    assert_eq!(
        text(selector, "matchExpressions/0/key"),
        "labwire.dev/sandbox",
        "in a shared namespace, sandboxes alone"
    );
    let apart = production(&[]);
    let policy = apart.get("NetworkPolicy/labwire-labs");
    assert_eq!(text(policy, "metadata/namespace"), "labwire-labs");
    assert_eq!(
        at(policy, "spec/podSelector")
            .as_mapping()
            .map(serde_yaml::Mapping::len),
        Some(0),
        "every pod"
    );
}

#[test]
fn serve_reaches_agents_and_the_controller_does_not() {
    let chart = production(&[]);
    let ports = |policy: &str| -> Vec<u64> {
        let rules = list(chart.get(policy), "spec/egress").iter();
        rules
            .flat_map(|rule| list(rule, "ports"))
            .filter_map(|port| at(port, "port").as_u64())
            .collect()
    };
    assert_eq!(ports("NetworkPolicy/labwire-serve"), [53, 53, 443, 6443, 5432, 7443]);
    assert_eq!(ports("NetworkPolicy/labwire-controller"), [53, 53, 443, 6443, 5432]);
}

#[test]
fn the_labs_namespace_enforces_the_strictest_level_that_the_choices_allow() {
    let level = |version: &str, values: &[&str]| {
        let files = [PRODUCTION_FILE, &["--kube-version", version]].concat();
        let chart = template(&files, &[PRODUCTION, values].concat()).unwrap_or_else(|e| panic!("{e}"));
        let labels = at(chart.get("Namespace/labwire-labs"), "metadata/labels");
        let level = labels.get("pod-security.kubernetes.io/enforce").and_then(Value::as_str);
        level.expect("a level is set").to_owned()
    };
    assert_eq!(
        level("1.33.0", &[]),
        "restricted",
        "with user namespaces an unmasked /proc passes"
    );
    assert_eq!(level("1.30.0", &["labs.procMount=Default"]), "restricted");
    assert_eq!(level("1.30.0", &[]), "privileged");
    assert_eq!(
        level("1.33.0", &["labs.hostUsers=true", "labs.acceptUnmasked=true"]),
        "privileged"
    );
    let open = ["labs.seccomp.type=Unconfined", "labs.seccomp.acceptUnconfined=true"];
    assert_eq!(level("1.33.0", &open), "privileged");
}

/// `hostUsers` in an apply to an API server that does not know it is an error of that apply.
#[test]
fn an_old_cluster_is_not_asked_for_user_namespaces() {
    let host_users = |version: &str| {
        let chart = template(&["--kube-version", version], &[]).unwrap_or_else(|e| panic!("{e}"));
        at(&chart.config("controller.yaml"), "controller/host_users").clone()
    };
    assert_eq!(host_users("1.20.2"), true);
    assert_eq!(host_users("1.33.0"), false);
    let files = [PRODUCTION_FILE, &["--kube-version", "1.20.2"]].concat();
    let said = template(&files, PRODUCTION).expect_err("an unmasked /proc without user namespaces");
    assert!(said.contains("acceptUnmasked") && said.contains("1.20.2"), "{said}");
}

/// A lab pushes a placeholder out; a placeholder pushes out nobody.
#[test]
fn placeholders_give_way_to_everyone() {
    let chart = production(EVERYTHING);
    let class = chart.get("PriorityClass/labwire-placeholder");
    assert_eq!(at(class, "value"), -10);
    assert_eq!(text(class, "preemptionPolicy"), "Never");
    let pod = at(chart.get("Deployment/labwire-placeholder"), "spec/template/spec");
    assert_eq!(at(pod, "terminationGracePeriodSeconds"), 0, "room at once");
    assert_eq!(
        at(pod, "containers/0/resources/requests"),
        at(pod, "containers/0/resources/limits"),
        "as a lab's"
    );
    assert_eq!(annotation(class, "helm.sh/hook"), "", "removed with the release");
}
