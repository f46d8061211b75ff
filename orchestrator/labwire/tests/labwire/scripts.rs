//! What the scripts say to people when something is missing: a line with the next step, never a traceback.

use super::cli::{LAB, text};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name)
}

fn executable(path: &Path, what: &str) {
    std::fs::write(path, what).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_build_says_at_which_step_it_is_and_which_one_failed() {
    let dir = tempfile::tempdir().unwrap();
    let make = dir.path().join("make");
    executable(&make, "#!/bin/sh\necho \"made $2\"\n[ \"$2\" != bad ]\n");
    let steps = |all: &[&str]| -> Output {
        Command::new(script("steps"))
            .args(all)
            .env("MAKE", &make)
            .output()
            .unwrap()
    };
    let good = steps(&["tools: what it is built with", "web: the pages"]);
    assert!(good.status.success());
    assert_eq!(text(&good.stdout), "made tools\nmade web\n");
    let said = text(&good.stderr);
    assert!(
        said.contains("step 1 of 2: what it is built with (0 s so far)"),
        "{said}"
    );
    assert!(
        said.contains("step 2 of 2: the pages (") && said.contains("2 steps in "),
        "{said}"
    );
    let bad = steps(&["tools: one", "bad: two", "web: three"]);
    assert_eq!(
        (bad.status.code(), text(&bad.stdout).as_str()),
        (Some(1), "made tools\nmade bad\n")
    );
    assert!(
        text(&bad.stderr).contains("step 2 of 3 (bad) failed after "),
        "{}",
        text(&bad.stderr)
    );
}

#[test]
fn a_lab_that_cannot_be_tried_is_said_in_a_line_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // an engine that answers and has no image
    executable(&at("docker"), "#!/bin/sh\n[ \"$1\" = version ]\n");
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let checked = format!("{LAB}checks:\n  - {{id: up, title: {{en: Up, fr: Actif}}, points: 1, command: ['true']}}\n");
    std::fs::write(at("broken.yaml"), "a: [1\n").unwrap();
    std::fs::write(at("list.yaml"), "[]\n").unwrap();
    std::fs::write(at("bare.yaml"), "id: x\n").unwrap();
    std::fs::write(at("unchecked.yaml"), LAB).unwrap();
    std::fs::write(at("lab.yaml"), &checked).unwrap();
    let tried = |name: &str, says: &str| {
        let out = Command::new(script("try-lab"))
            .arg(at(name))
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("try-lab: ") && said.contains("; ") && said.contains(says),
            "{said}"
        );
    };
    tried("nowhere.yaml", "cannot read");
    tried("broken.yaml", "labwire lab check");
    tried("list.yaml", "expected fields");
    tried("bare.yaml", "image is missing");
    tried("unchecked.yaml", "it has no checks");
    tried("lab.yaml", "solution.sh is missing");
    std::fs::write(at("solution.sh"), "true\n").unwrap();
    tried("lab.yaml", "make images");
    executable(&at("docker"), "#!/bin/sh\nexit 1\n");
    tried("lab.yaml", "scripts/engine start");
}
