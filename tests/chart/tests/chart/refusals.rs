//! What is not installed, and what is said instead: the value, what is wrong with it, what to do.

use lab_chart::{PRODUCTION, PRODUCTION_FILE, production, template, trial};

#[track_caller]
fn refused(files: &[&str], values: &[&str], words: &[&str]) {
    let Err(said) = template(files, values) else {
        panic!("{values:?} must be refused")
    };
    for word in words {
        assert!(said.contains(word), "{values:?}: {word:?} is not in:\n{said}");
    }
}

#[track_caller]
fn refused_in_production(values: &[&str], words: &[&str]) {
    refused(PRODUCTION_FILE, &[PRODUCTION, values].concat(), words);
}

#[test]
fn wrong_values_are_named_with_what_they_may_be() {
    let cases: &[(&str, &[&str])] = &[
        ("profile=prod", &["profile", "trial", "production"]),
        ("serve.replicas=0", &["serve.replicas", "greater than or equal to 1"]),
        ("serve.replicas=three", &["serve.replicas", "integer"]),
        ("serve.replcias=1", &["serve", "replcias is not allowed"]),
        ("publicUrl=labs.example.org", &["publicUrl", "https?"]),
        ("installation=Our_Labs", &["installation", "a-z0-9-"]),
        (
            "labs.seccomp.type=Open",
            &["labs.seccomp.type", "Localhost", "RuntimeDefault"],
        ),
        ("labs.seccomp.path=../../etc/x", &["labs.seccomp.path"]),
        ("volume.size=10 GB", &["volume.size"]),
        ("placeholders.priority=-100", &["placeholders.priority", "-10"]),
        (
            "terminationGracePeriodSeconds=10",
            &["terminationGracePeriodSeconds", "30"],
        ),
        ("ingress.idleTimeoutSeconds=10", &["ingress.idleTimeoutSeconds", "31"]),
        ("ingress.host=https://labs.example.org", &["ingress.host"]),
        (
            "metrics.serviceMonitor.interval=often",
            &["metrics.serviceMonitor.interval"],
        ),
    ];
    for (value, words) in cases {
        refused(&[], &[value], words);
    }
}

#[test]
fn sqlite_never_has_two_writers() {
    refused(
        &[],
        &["serve.replicas=2"],
        &["serve.replicas", "SQLite has one writer", "database.kind=postgres"],
    );
    refused(
        &[],
        &["autoscaling.enabled=true"],
        &["autoscaling.maxReplicas is 10", "SQLite"],
    );
    refused_in_production(&["database.kind=sqlite"], &["SQLite has one writer", "lost ledger"]);
}

#[test]
fn secrets_that_are_not_named_are_asked_for() {
    refused_in_production(&["database.secret.name="], &["database.secret.name is empty"]);
    refused_in_production(&["recordings.s3.secret.name="], &["recordings.s3.secret.name is empty"]);
    refused_in_production(&["recordings.s3.bucket="], &["recordings.s3.bucket is empty"]);
    refused_in_production(&["launchKeys.secret.name="], &["launchKeys.secret.name is empty"]);
    refused_in_production(&["launchKeys.ids=null"], &["launchKeys.ids"]);
    refused_in_production(&["metrics.serviceMonitor.enabled=true"], &["metrics.tokenSecret.name"]);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let expected = [
        "database.secret.name",
        "recordings.s3.bucket",
        "launchKeys.secret.name",
        "publicUrl is ",
        "ingress.host",
        "ingress.tlsSecret",
    ];
    refused(PRODUCTION_FILE, &[], &expected);
}

#[test]
fn production_signs_nobody_in_over_plain_http() {
    refused_in_production(&["publicUrl=http://labs.example.org"], &["publicUrl", "use https"]);
    refused_in_production(&["ingress.tlsSecret="], &["ingress.tlsSecret is empty"]);
    refused_in_production(
        &["publicUrl=https://other.example.org"],
        &["ingress.host is labs.example.org", "https://other.example.org"],
    );
}

#[test]
fn production_survives_the_loss_of_one_replica_and_of_a_volume() {
    refused_in_production(&["serve.replicas=1"], &["fewer than 2 replicas"]);
    refused_in_production(
        &["autoscaling.enabled=true", "autoscaling.minReplicas=1"],
        &["fewer than 2 replicas"],
    );
    refused_in_production(&["recordings.kind=volume"], &["recordings.kind=volume"]);
    refused_in_production(
        &[
            "autoscaling.enabled=true",
            "autoscaling.minReplicas=9",
            "autoscaling.maxReplicas=3",
        ],
        &["turn them round"],
    );
    refused_in_production(&["image.tag=latest"], &["image.tag=latest"]);
}

#[test]
fn what_opens_the_node_to_learners_has_to_be_asked_for_by_name() {
    refused(
        &[],
        &["labs.seccomp.type=Unconfined"],
        &["every system call", "acceptUnconfined"],
    );
    trial(&["labs.seccomp.type=Unconfined", "labs.seccomp.acceptUnconfined=true"]);
    refused_in_production(&["labs.hostUsers=true"], &["hostUsers=false", "acceptUnmasked"]);
    production(&["labs.hostUsers=true", "labs.acceptUnmasked=true"]);
    production(&["labs.hostUsers=true", "labs.procMount=Default"]);
    refused_in_production(&["networkPolicies.enabled=false"], &["networkPolicies.enabled=false"]);
    refused_in_production(&["labs.namespace=", "labs.createNamespace=false"], &["labs.namespace"]);
    refused_in_production(
        &["labs.namespace=labwire", "labs.createNamespace=false"],
        &["labs.namespace"],
    );
}

#[test]
fn settings_that_the_chart_writes_are_not_taken_twice() {
    for section in [
        "database=sqlite:x",
        "runtime.kind=docker",
        "keys={}",
        "listen=0.0.0.0:1",
        "controller.image=x",
    ] {
        let key = section.split(['=', '.']).next().expect("split gives one");
        refused(&[], &[&format!("config.{section}")], &[&format!("config.{key} is set")]);
    }
    refused(
        &[],
        &["config.http.metrics_token=secret"],
        &["config.http.metrics_token", "metrics.tokenSecret"],
    );
    refused(&[], &["config.limits.sandboxes_max=1"], &["labs.sandboxesMax"]);
    refused(
        &[],
        &["labs.createNamespace=true"],
        &["labs.createNamespace without labs.namespace"],
    );
    refused(&[], &["labs.quota.pods=10"], &["labs.quota", "give labs.namespace"]);
}
