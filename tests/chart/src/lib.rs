//! What the chart's tests share: the real tools, and a chart as it is rendered.
//!
//! Tools come from `scripts/cluster` (helm and kubectl of known versions), so that a test says the same on every machine. What is
//! missing is a failure with a remedy, never a skipped test.

use serde_yaml::Value;
use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::OnceLock,
};

/// What only an installation knows, for the production profile: as few values as it wants.
pub const PRODUCTION: &[&str] = &[
    "publicUrl=https://labs.example.org",
    "ingress.host=labs.example.org",
    "ingress.tlsSecret=labwire-tls",
    "database.secret.name=labwire-database",
    "recordings.s3.bucket=labwire-recordings",
    "recordings.s3.secret.name=labwire-s3",
    "launchKeys.secret.name=labwire-launch-keys",
    "launchKeys.ids={2026-11,2026-05}",
];

/// Every optional part on; none of them changes whether production is refused.
pub const EVERYTHING: &[&str] = &[
    "metrics.tokenSecret.name=labwire-metrics",
    "metrics.serviceMonitor.enabled=true",
    "metrics.rules.enabled=true",
    "metrics.dashboard.enabled=true",
    "autoscaling.enabled=true",
    "autoscaling.terminalsPerReplica=800",
    "placeholders.replicas=2",
    "seccompInstaller.enabled=true",
    "labs.quota.pods=400",
];

/// The checkout.
pub fn top() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file of the checkout, as text.
///
/// # Panics
/// When it is not there.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    /// Its command line, for messages.
    pub what: String,
    /// Whether its status was 0.
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(what: String, output: &Output) -> Self {
        Self {
            what,
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn expect_ok(self) -> String {
        assert!(self.ok, "{} failed:\n{}\n{}", self.what, self.stderr, self.stdout);
        self.stdout
    }
}

/// Runs a program of the checkout's top folder.
///
/// # Panics
/// When it cannot be started.
pub fn run(program: &str, args: &[&str]) -> Ran {
    let output = Command::new(program).args(args).current_dir(top()).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    Ran::of(format!("{program} {}", args.join(" ")), &output)
}

/// Runs helm or kubectl, in the versions of `scripts/cluster`, which are installed once.
pub fn tool(args: &[&str]) -> Ran {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| drop(run("scripts/cluster", &["tools"]).expect_ok()));
    let script = r#"eval "$(scripts/cluster env)"; exec "$@""#;
    let mut all = vec!["-c", script, "sh"];
    all.extend(args);
    let mut ran = run("sh", &all);
    ran.what = args.join(" ");
    ran
}

/// The arguments that choose the production profile; values of the caller's own follow.
pub const PRODUCTION_FILE: &[&str] = &["-f", "helm/values-production.yaml"];

/// `helm COMMAND… helm/ -f… --set…`.
pub fn helm(command: &[&str], files: &[&str], values: &[&str]) -> Ran {
    let mut args = vec!["helm"];
    args.extend(command);
    args.extend(files);
    for value in values {
        args.extend(["--set", value]);
    }
    tool(&args)
}

/// A rendered chart.
#[derive(Debug)]
pub struct Rendered(pub Vec<Value>);

/// `helm template`, or what helm says against it.
///
/// # Errors
/// helm's message.
pub fn template(files: &[&str], values: &[&str]) -> Result<Rendered, String> {
    let ran = helm(&["template", "labwire", "helm", "-n", "labwire"], files, values);
    if ran.ok {
        Ok(Rendered(documents(&ran.stdout)))
    } else {
        Err(ran.stderr)
    }
}

/// The trial with `values`.
///
/// # Panics
/// When it is refused.
#[track_caller]
pub fn trial(values: &[&str]) -> Rendered {
    template(&[], values).unwrap_or_else(|e| panic!("{e}"))
}

/// Production with `values`.
///
/// # Panics
/// When it is refused.
#[track_caller]
pub fn production(values: &[&str]) -> Rendered {
    template(PRODUCTION_FILE, &[PRODUCTION, values].concat()).unwrap_or_else(|e| panic!("{e}"))
}

/// The objects of a YAML stream.
///
/// # Panics
/// When it is none.
pub fn documents(text: &str) -> Vec<Value> {
    use serde_yaml::Deserializer;
    Deserializer::from_str(text)
        .map(|document| {
            let value: Value = serde::de::Deserialize::deserialize(document).expect("helm renders YAML");
            value
        })
        .filter(|value| !value.is_null())
        .collect()
}

/// The value at a path like `spec/template/spec`; null where there is none.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    path.split('/').fold(value, |v, key| match v {
        Value::Sequence(list) => key.parse().ok().and_then(|n: usize| list.get(n)).unwrap_or(NOTHING),
        _ => v.get(key).unwrap_or(NOTHING),
    })
}

/// The text at a path; empty where there is none.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// The list at a path; empty where there is none.
pub fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_sequence().map(Vec::as_slice).unwrap_or_default()
}

/// An annotation (their names have slashes in them, so that `at` cannot name them); empty where there is none.
pub fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "metadata/annotations")
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `Deployment/labwire`.
pub fn name(object: &Value) -> String {
    format!("{}/{}", text(object, "kind"), text(object, "metadata/name"))
}

impl Rendered {
    /// Names of all objects, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(name).collect();
        names.sort();
        names
    }

    /// The object `Deployment/labwire`.
    pub fn find(&self, wanted: &str) -> Option<&Value> {
        self.0.iter().find(|object| name(object) == wanted)
    }

    /// The object that must be there.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn get(&self, wanted: &str) -> &Value {
        self.find(wanted)
            .unwrap_or_else(|| panic!("{wanted} is not among {:?}", self.names()))
    }

    /// Every pod that it makes: the object's name and the pod's spec.
    pub fn pods(&self) -> Vec<(String, &Value)> {
        let spec = |object| match text(object, "kind") {
            "Pod" => Some(at(object, "spec")),
            "Deployment" | "DaemonSet" | "Job" | "StatefulSet" => Some(at(object, "spec/template/spec")),
            _ => None,
        };
        self.0
            .iter()
            .filter_map(|object| Some((name(object), spec(object)?)))
            .collect()
    }

    /// A file of the `ConfigMap` `labwire`, as YAML.
    ///
    /// # Panics
    /// When it is not there.
    pub fn config(&self, file: &str) -> Value {
        let map = self.get("ConfigMap/labwire");
        let file = at(map, "data")
            .get(file)
            .and_then(Value::as_str)
            .expect("the file is in the map");
        serde_yaml::from_str(file).expect("it is YAML")
    }
}
