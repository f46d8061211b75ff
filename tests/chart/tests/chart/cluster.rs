//! On a real cluster: `scripts/cluster up`, or the one of KUBECONFIG.

use lab_chart::{EVERYTHING, PRODUCTION, Ran, helm, run, tool};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// A namespace of the test's own; removed with all it has, and told about when the test fails.
struct Namespace(String);

impl Namespace {
    fn new(test: &str) -> Self {
        static UP: OnceLock<()> = OnceLock::new();
        UP.get_or_init(|| drop(run("scripts/cluster", &["up"]).expect_ok()));
        let name = format!("helm-{test}-{}", std::process::id());
        tool(&["kubectl", "create", "namespace", &name]).expect_ok();
        Self(name)
    }

    fn kubectl(&self, args: &[&str]) -> Ran {
        tool(&[&["kubectl", "-n", &self.0], args].concat())
    }

    /// Everything in it that Kubernetes itself has not put there, as `kind/name`.
    fn things(&self) -> Vec<String> {
        let kinds = tool(&["kubectl", "api-resources", "--verbs=list", "--namespaced", "-o", "name"]).expect_ok();
        let kinds: Vec<&str> = kinds
            .lines()
            .filter(|k| !k.starts_with("events") && !k.starts_with("endpoint") && *k != "secrets")
            .collect();
        let found = self
            .kubectl(&["get", &kinds.join(","), "-o", "name", "--ignore-not-found"])
            .expect_ok();
        // an account's tokens are Kubernetes' to remove, which forgets them after its API server was away (1.20)
        let secrets = self
            .kubectl(&[
                "get",
                "secrets",
                "--field-selector=type!=kubernetes.io/service-account-token",
                "-o",
                "name",
            ])
            .expect_ok();
        let own = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
        found
            .lines()
            .chain(secrets.lines())
            .filter(|l| !own.iter().any(|o| l.starts_with(o)))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for what in [
                &["get", "all,pvc,labsandboxes"] as &[&str],
                &["describe", "pods"],
                &["get", "events", "--sort-by=.lastTimestamp"],
            ] {
                let told = self.kubectl(what);
                eprintln!("--- kubectl {}\n{}{}", what.join(" "), told.stdout, told.stderr);
            }
            for part in ["serve", "controller"] {
                let told = self.kubectl(&[
                    "logs",
                    "--tail=40",
                    "-l",
                    &format!("app.kubernetes.io/component={part}"),
                ]);
                eprintln!("--- log of {part}\n{}{}", told.stdout, told.stderr);
            }
        }
        tool(&["kubectl", "delete", "namespace", &self.0, "--wait=false"]);
    }
}

/// Waits for a condition, at most two minutes: a pod of a present image starts in seconds.
#[track_caller]
fn wait(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "{what}: not within two minutes"
        );
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Small enough for a cluster of two cores that others use too.
const SMALL: &[&str] = &[
    "serve.resources.requests.cpu=20m",
    "controller.resources.requests.cpu=20m",
    "volume.size=1Gi",
    "labs.cpuOvercommit=20",
];

/// The API server takes every object of both profiles, with every optional part (but those whose definitions it has not).
#[test]
fn cluster_takes_every_object_of_both_profiles() {
    let (release, labs) = (Namespace::new("dry"), Namespace::new("dry-labs"));
    let here = [
        format!("labs.namespace={}", labs.0),
        "labs.createNamespace=false".into(),
    ];
    let here = [
        here[0].as_str(),
        here[1].as_str(),
        "metrics.serviceMonitor.enabled=false",
        "metrics.rules.enabled=false",
        // the test cluster has no user namespaces
        "labs.acceptUnmasked=true",
    ];
    let everything: Vec<&str> = [PRODUCTION, EVERYTHING, &here].concat();
    let install = ["template", "labwire", "helm", "-n", &release.0, "--validate"];
    tool(&["kubectl", "apply", "--dry-run=server", "-f", "helm/crds"]).expect_ok();
    for (files, values) in [
        (&[] as &[&str], SMALL.to_vec()),
        (lab_chart::PRODUCTION_FILE, everything),
    ] {
        let objects = helm(&install, files, &values).expect_ok();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("objects.yaml");
        std::fs::write(&file, objects).expect("a file");
        // no -n: objects of the labs' namespace name it, and those that name none are tried in the default one
        let file = file.to_str().expect("a plain path");
        tool(&["kubectl", "apply", "--dry-run=server", "-f", file]).expect_ok();
    }
}

/// What NOTES prints is what a person does next.
#[test]
fn cluster_notes_print_the_next_commands_for_this_release() {
    let here = Namespace::new("notes");
    let notes = helm(
        &["install", "labwire", "helm", "-n", &here.0, "--dry-run=server"],
        &[],
        &[],
    )
    .expect_ok();
    let commands = [
        format!("helm test labwire -n {}", here.0),
        format!("kubectl -n {} port-forward service/labwire 8080:80", here.0),
        format!(
            "kubectl -n {} exec deploy/labwire -c serve -- labwire link --learner ada",
            here.0
        ),
        format!("kubectl -n {} get labsandboxes", here.0),
    ];
    for command in commands {
        assert!(notes.contains(&command), "{command}");
    }
    let labs: Vec<&str> = notes
        .lines()
        .filter_map(|l| l.split("--lab ").nth(1))
        .filter_map(|l| l.split(' ').next())
        .collect();
    let shipped = run("sh", &["-c", "ls lab-images/*/labs"]).expect_ok();
    assert!(
        !labs.is_empty() && labs.iter().all(|lab| shipped.lines().any(|s| s == *lab)),
        "{labs:?} of {shipped}"
    );
}

/// What the page does with a link's token, by wget from inside: signs in, reads the notice, starts the lab.
fn opens_a_lab(here: &Namespace, token: &str) {
    let exec = ["exec", "deploy/labwire", "-c", "serve", "--", "wget", "-qO-"];
    let url = |path: &str| format!("http://127.0.0.1:8080{path}");
    let post = |path: &str, bearer: &str, body: &str| {
        let (bearer, body, url) = (
            format!("--header=Authorization: Bearer {bearer}"),
            format!("--post-data={body}"),
            url(path),
        );
        let wget = ["--header=Content-Type: application/json", &bearer, &body, &url];
        here.kubectl(&[&exec as &[&str], &wget].concat()).expect_ok()
    };
    let json = |text: &str| -> serde_yaml::Value { serde_yaml::from_str(text).expect("JSON") };
    let login = json(&post("/api/v1/launch", "", &format!(r#"{{"token":"{token}"}}"#)));
    let bearer = lab_chart::text(&login, "bearer");
    let (header, notice) = (
        format!("--header=Authorization: Bearer {bearer}"),
        url("/api/v1/notice"),
    );
    let notice = json(
        &here
            .kubectl(&[&exec as &[&str], &[&header, &notice]].concat())
            .expect_ok(),
    );
    let version = lab_chart::text(&notice, "version");
    post("/api/v1/notice", bearer, &format!(r#"{{"version":"{version}"}}"#));
    post("/api/v1/sessions", bearer, r#"{"lab":"static-routes"}"#);
}

/// From nothing to a running lab, through an upgrade from an earlier version's values, and back to nothing.
#[test]
fn cluster_trial_installs_runs_a_lab_upgrades_and_leaves_nothing() {
    let here = Namespace::new("trial");
    if std::env::var_os("KUBECONFIG").is_none() {
        run("scripts/cluster", &["load"]).expect_ok();
    }
    let release = ["labwire", "helm", "-n", &here.0, "--wait", "--timeout", "3m"];
    let values = [SMALL, &["seccompInstaller.enabled=true"]].concat();
    helm(
        &[&["install"], &release as &[&str]].concat(),
        &["-f", "tests/chart/previous/0.1.0-trial.yaml"],
        &values,
    )
    .expect_ok();
    tool(&["helm", "test", "labwire", "-n", &here.0]).expect_ok();

    // an earlier version's values, then this chart's: what an upgrade is
    helm(
        &[&["upgrade"], &release as &[&str], &["--reset-then-reuse-values"]].concat(),
        &[],
        &["labs.sandboxesMax=3"],
    )
    .expect_ok();
    tool(&["helm", "test", "labwire", "-n", &here.0]).expect_ok();
    let settings = here
        .kubectl(&["exec", "deploy/labwire", "-c", "serve", "--", "labwire", "check-config"])
        .expect_ok();
    assert!(settings.contains("sandboxes_max: 3"), "{settings}");

    // what NOTES prints opens a lab: what the page does then, by wget from inside
    let labwire = |args: &[&str]| {
        let all = [&["exec", "deploy/labwire", "-c", "serve", "--", "labwire"], args].concat();
        here.kubectl(&all).expect_ok()
    };
    labwire(&["grant", "--learner", "ada", "--course", "net", "--plan", "QUALIFYING"]);
    let link = labwire(&[
        "link",
        "--learner",
        "ada",
        "--course",
        "net",
        "--lab",
        "static-routes",
        "--plan",
        "QUALIFYING",
    ]);
    let token = link
        .trim()
        .split("token=")
        .nth(1)
        .expect("a link has a token")
        .to_owned();
    opens_a_lab(&here, &token);
    wait("a sandbox runs", || {
        here.kubectl(&["get", "labsandboxes", "-o", "jsonpath={.items[*].status.phase}"])
            .stdout
            == "Running"
    });

    tool(&[
        "helm",
        "uninstall",
        "labwire",
        "-n",
        &here.0,
        "--wait",
        "--timeout",
        "3m",
    ])
    .expect_ok();
    wait("nothing is left", || here.things().is_empty());
}
