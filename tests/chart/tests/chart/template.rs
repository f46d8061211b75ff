//! What is rendered.

use lab_chart::{EVERYTHING, PRODUCTION_FILE, annotation, at, helm, list, production, read, template, text, trial};
use serde_yaml::Value;

#[test]
fn both_profiles_pass_lint_without_a_warning() {
    for (files, values) in [
        (&[] as &[&str], &[] as &[&str]),
        (PRODUCTION_FILE, &[lab_chart::PRODUCTION, EVERYTHING].concat()),
    ] {
        let said = helm(&["lint", "--strict", "helm"], files, values);
        let quiet = !said.stdout.contains("[WARNING]") && !said.stdout.contains("[ERROR]");
        assert!(said.ok && quiet, "{}{}", said.stdout, said.stderr);
    }
}

#[test]
fn the_trial_is_one_replica_of_each_part_and_one_volume() {
    let chart = trial(&[]);
    let expected = [
        "ConfigMap/labwire",
        "Deployment/labwire",
        "Deployment/labwire-controller",
        "NetworkPolicy/labwire-controller",
        "NetworkPolicy/labwire-labs",
        "NetworkPolicy/labwire-serve",
        "PersistentVolumeClaim/labwire",
    ];
    for wanted in expected {
        chart.get(wanted);
    }
    let serve = chart.get("Deployment/labwire");
    assert_eq!(at(serve, "spec/replicas"), 1);
    assert_eq!(
        text(serve, "spec/strategy/type"),
        "Recreate",
        "SQLite has one writer: the old pod ends first"
    );
    for absent in [
        "Ingress/labwire",
        "HorizontalPodAutoscaler/labwire",
        "Job/labwire-migrate",
        "DaemonSet/labwire-seccomp",
    ] {
        assert!(chart.find(absent).is_none(), "{absent}");
    }
}

#[test]
fn production_has_what_keeps_it_up_while_it_is_upgraded() {
    let chart = production(&[]);
    let serve = chart.get("Deployment/labwire");
    assert_eq!(at(serve, "spec/replicas"), 3);
    assert_eq!(
        at(serve, "spec/strategy/rollingUpdate/maxUnavailable"),
        0,
        "a new one is ready before an old one goes"
    );
    assert_eq!(at(chart.get("PodDisruptionBudget/labwire"), "spec/maxUnavailable"), 1);
    assert_eq!(
        at(
            chart.get("PodDisruptionBudget/labwire-controller"),
            "spec/maxUnavailable"
        ),
        1
    );
    let pod = at(serve, "spec/template/spec");
    let keys: Vec<&str> = list(pod, "topologySpreadConstraints")
        .iter()
        .map(|c| text(c, "topologyKey"))
        .collect();
    assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    let hook = chart.get("Job/labwire-migrate");
    assert_eq!(
        annotation(hook, "helm.sh/hook"),
        "pre-install,pre-upgrade",
        "the schema is there before the replicas that need it"
    );
    assert!(
        chart.find("PersistentVolumeClaim/labwire").is_none(),
        "Postgres and S3 keep everything"
    );
}

/// serve's own arithmetic (`command/serve.rs`): a notice of at most 5 s, 15 s for tasks and recordings, 5 s for the database.
#[test]
fn a_replica_has_the_time_it_needs_to_end() {
    let chart = production(&[]);
    let pod = at(chart.get("Deployment/labwire"), "spec/template/spec");
    assert!(
        at(pod, "terminationGracePeriodSeconds")
            .as_u64()
            .is_some_and(|grace| grace > 25)
    );
    let notice = chart.config("labwire.yaml");
    assert_eq!(
        text(&notice, "limits/drain_notice"),
        "5s",
        "proxies take note while it serves on"
    );
    let alone = trial(&[]).config("labwire.yaml");
    assert!(
        at(&alone, "limits/drain_notice").is_null(),
        "who is alone has nobody to leave its work to"
    );
}

#[test]
fn behind_an_ingress_people_are_told_apart_by_their_own_addresses() {
    let proxies = |chart: &lab_chart::Rendered| at(&chart.config("labwire.yaml"), "http/proxies").clone();
    assert_eq!(proxies(&production(&[])), 1);
    assert_eq!(
        proxies(&production(&["config.http.proxies=2"])),
        2,
        "a proxy before the ingress"
    );
    assert!(
        proxies(&trial(&[])).is_null(),
        "nobody stands in front, and a header would be believed"
    );
}

#[test]
fn autoscaling_alone_decides_how_many_replicas_there_are() {
    let chart = production(&["autoscaling.enabled=true", "autoscaling.terminalsPerReplica=800"]);
    assert!(
        at(chart.get("Deployment/labwire"), "spec/replicas").is_null(),
        "an upgrade must not undo the autoscaler's number"
    );
    let metrics = list(chart.get("HorizontalPodAutoscaler/labwire"), "spec/metrics");
    assert_eq!(text(&metrics[0], "resource/name"), "cpu");
    assert_eq!(text(&metrics[1], "pods/metric/name"), "labwire_terminals_attached");
    assert_eq!(
        at(&chart.config("labwire.yaml"), "replicas"),
        10,
        "serve is told how many it may be"
    );
}

/// A Deployment's selector cannot be changed: another one would make `helm upgrade` fail for everyone.
#[test]
fn what_deployments_select_by_never_changes() {
    let chart = production(EVERYTHING);
    for (object, part) in [
        ("Deployment/labwire", "serve"),
        ("Deployment/labwire-controller", "controller"),
        ("Deployment/labwire-placeholder", "placeholder"),
    ] {
        let labels = at(chart.get(object), "spec/selector/matchLabels")
            .as_mapping()
            .expect("labels");
        let mut labels: Vec<String> = labels
            .iter()
            .map(|(k, v)| format!("{}={}", k.as_str().unwrap(), v.as_str().unwrap()))
            .collect();
        labels.sort();
        let expected = [
            format!("app.kubernetes.io/component={part}"),
            "app.kubernetes.io/instance=labwire".into(),
            "app.kubernetes.io/name=labwire".into(),
        ];
        assert_eq!(labels, expected);
    }
}

#[test]
fn other_settings_make_other_pods() {
    let sum = |values: &[&str]| {
        let chart = trial(values);
        annotation(at(chart.get("Deployment/labwire"), "spec/template"), "checksum/config").to_owned()
    };
    assert_eq!(sum(&[]), sum(&["serve.podAnnotations.a=b"]));
    assert_ne!(sum(&[]), sum(&["labs.sandboxesMax=41"]));
}

#[test]
fn settings_of_the_values_reach_the_files_of_both_parts() {
    let chart = production(&[
        "labs.sandboxesMax=77",
        "labs.nodeSelector.pool=labs",
        "config.limits.bearer_ttl=30m",
        "labs.seccomp.path=x/y.json",
    ]);
    let serve = chart.config("labwire.yaml");
    assert_eq!(at(&serve, "limits/sandboxes_max"), 77);
    assert_eq!(text(&serve, "limits/bearer_ttl"), "30m", "beside what the chart sets");
    assert_eq!(text(&serve, "recordings"), "s3://labwire-recordings/recordings");
    assert_eq!(
        text(&serve, "keys/0/secret_file"),
        "/etc/labwire/keys/2026-11",
        "the first signs"
    );
    assert_eq!(text(&serve, "runtime/kubernetes/namespace"), "labwire-labs");
    let controller = chart.config("controller.yaml");
    assert_eq!(text(&controller, "controller/node_selector/pool"), "labs");
    assert!(
        at(&controller, "keys").is_null() && at(&controller, "database").is_null(),
        "the controller has no business with them"
    );
}

#[test]
fn everything_is_named_after_the_release_and_fits() {
    let long = "a-release-with-the-longest-name-that-helm-allows-53-x";
    let ran = helm(
        &["template", long, "helm"],
        PRODUCTION_FILE,
        &[lab_chart::PRODUCTION, EVERYTHING].concat(),
    );
    for object in lab_chart::documents(&ran.expect_ok()) {
        let name = text(&object, "metadata/name").to_owned();
        assert!(name.len() <= 63, "{name}");
    }
    let twice = template(&[], &[]).expect("the trial").names();
    assert!(twice.iter().all(|n| n.contains("/labwire")), "{twice:?}");
}

#[test]
fn chart_program_and_image_are_one_version() {
    let chart: Value = serde_yaml::from_str(&read("helm/Chart.yaml")).expect("YAML");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(text(&chart, "version"), version);
    assert_eq!(text(&chart, "appVersion"), version);
    let label = format!("LABEL labwire.image=labwire/labwire:{version}");
    assert!(
        read("lab-images/labwire/Dockerfile").lines().any(|l| l == label),
        "{label}"
    );
}

#[test]
fn the_profile_the_chart_installs_is_the_one_of_the_images() {
    assert!(
        read("helm/files/lab-seccomp.json") == read("lab-images/seccomp/lab.json"),
        "cp lab-images/seccomp/lab.json helm/files/lab-seccomp.json"
    );
}

/// Values that people wrote for an earlier version go on to mean something.
#[test]
fn values_of_every_earlier_version_are_still_taken() {
    let folder = lab_chart::top().join("tests/chart/previous");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).expect("the folder of earlier values") {
        let path = file.expect("an entry").path();
        let path = path.to_str().expect("plain");
        if let Err(refused) = template(&["-f", path], &[]) {
            panic!("{path}: {refused}");
        }
        seen += 1;
    }
    assert!(seen >= 2, "the trial's and production's are kept from 0.1.0 on");
}
