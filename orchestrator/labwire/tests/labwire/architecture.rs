//! The edges between crates, and where each large dependency may be. A new edge is a decision: make it in the design first.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Who may depend on whom. For tests anyone may use the test kit.
const EDGES: &[(&str, &[&str])] = &[
    ("lab-core", &[]),
    ("lab-app", &["lab-core"]),
    ("lab-http", &["lab-app", "lab-core"]),
    ("lab-platform", &["lab-core"]),
    ("lab-store", &["lab-core"]),
    ("lab-runtime-docker", &["lab-core"]),
    ("lab-runtime-process", &["lab-core"]),
    ("lab-runtime-kubernetes", &["lab-core"]),
    ("lab-agent", &["lab-core"]),
    ("lab-testkit", &["lab-core"]),
    (
        "labwire",
        &[
            "lab-http",
            "lab-app",
            "lab-core",
            "lab-platform",
            "lab-store",
            "lab-runtime-docker",
            "lab-runtime-process",
            "lab-runtime-kubernetes",
        ],
    ),
    ("lab-e2e", &["lab-core", "lab-testkit"]),
    ("lab-chart", &[]),
];

/// Dependencies that a crate exists to keep from everyone else.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("axum", &["lab-http"]),
    ("sqlx", &["lab-store"]),
    ("bollard", &["lab-runtime-docker"]),
    ("pdf-writer", &["lab-app"]),
    ("csv", &["lab-app"]),
    ("lettre", &["lab-platform"]),
    ("openidconnect", &["lab-app"]),
    ("clap", &["labwire"]),
    ("anyhow", &["labwire", "lab-e2e"]),
    ("kube", &["lab-runtime-kubernetes"]),
    // lab-store names it only to choose the TLS of its S3 client
    ("reqwest", &["lab-platform", "lab-store", "lab-e2e"]),
];

fn workspace() -> Metadata {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

fn allowed(package: &Package, dependency: &str, kind: DependencyKind) -> bool {
    let edges = EDGES.iter().find(|(name, _)| *name == package.name.as_str());
    let edges = edges
        .unwrap_or_else(|| panic!("{} is a new crate: give it its edges here", package.name))
        .1;
    edges.contains(&dependency) || (kind == DependencyKind::Development && dependency == "lab-testkit")
}

#[test]
fn crates_depend_on_each_other_only_as_designed() {
    let workspace = workspace();
    let ours: Vec<&str> = workspace.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ours.len(), EDGES.len(), "{ours:?}");
    for package in &workspace.packages {
        for dependency in package.dependencies.iter().filter(|d| ours.contains(&d.name.as_str())) {
            assert!(
                allowed(package, &dependency.name, dependency.kind),
                "{} must not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn each_large_dependency_stays_in_its_crate() {
    for package in &workspace().packages {
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development)
        {
            if let Some((name, crates)) = ONLY_IN.iter().find(|(name, _)| *name == dependency.name) {
                assert!(
                    crates.contains(&package.name.as_str()),
                    "{} must not depend on {name}",
                    package.name
                );
            }
        }
    }
}

#[test]
fn lab_core_has_no_executor_no_clock_and_no_randomness() {
    let workspace = workspace();
    let core = workspace
        .packages
        .iter()
        .find(|p| p.name.as_str() == "lab-core")
        .expect("it is in the workspace");
    let normal = core.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    let impure = [
        "tokio",
        "rand",
        "getrandom",
        "reqwest",
        "async-std",
        "chrono",
        "tracing",
    ];
    let found: Vec<&str> = normal.map(|d| d.name.as_str()).filter(|n| impure.contains(n)).collect();
    assert!(found.is_empty(), "lab-core must stay pure: {found:?}");
}
