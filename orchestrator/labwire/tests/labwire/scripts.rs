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
    // seconds are the wall clock's: even the first step may begin in the next one
    assert_eq!(
        text(&good.stderr)
            .replace(|c: char| c.is_ascii_digit(), "#")
            .replace("##", "#"),
        "labwire: step # of #: what it is built with (# s so far)\n\
         labwire: step # of #: the pages (# s so far)\n\
         labwire: # steps in # s\n"
    );
    assert!(text(&good.stderr).starts_with("labwire: step 1 of 2"));
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

fn need(args: &[&str]) -> Output {
    Command::new(script("need")).args(args).output().unwrap()
}

#[test]
fn a_fresh_debian_gets_what_the_build_and_the_benchmarks_ask_for() {
    let packages = |group: &str| -> Vec<String> {
        let out = need(&["-l", group]);
        assert!(out.status.success(), "{group}: {}", text(&out.stderr));
        text(&out.stdout).lines().map(str::to_owned).collect()
    };
    let has = |group: &str, wanted: &[&str]| {
        let all = packages(group);
        for package in wanted {
            assert!(all.iter().any(|p| p == package), "{group} has no {package}: {all:?}");
        }
    };
    // the linker wants libc.a and crt1.o, which gcc only recommends, as python3 does venv
    has("build", &["gcc", "libc6-dev", "make"]);
    has("bench", &["asciinema", "python3", "python3-venv"]);
    has("s3", &["python3", "python3-venv"]);
    has("rules", &["prometheus"]);
    let asked_by = |step: &str| {
        let top = script("..");
        let out = Command::new("make")
            .args(["-n", step])
            .current_dir(top)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    for step in ["tools", "tools-test", "tools-bench"] {
        assert!(asked_by(step).contains("scripts/need build"), "{step}");
    }
    assert!(asked_by("tools-bench").contains("scripts/need browser bench"));
}

#[test]
fn the_help_of_need_names_every_group_and_what_it_installs() {
    let help = text(&need(&["--help"]).stdout);
    let unknown = need(&["nonsense"]);
    let said = text(&unknown.stderr);
    let groups = said.split("(groups: ").nth(1).unwrap().trim_end_matches([')', '\n']);
    assert!(groups.split(' ').count() >= 11, "{groups}");
    for group in groups.split(' ') {
        assert!(help.contains(&format!("\n  {group} ")), "{group} is not in the help");
    }
    let line = |group: &str| {
        help.lines()
            .find(|l| l.trim_start().starts_with(&format!("{group} ")))
            .unwrap()
    };
    for (group, tool) in [
        ("base", "mmdebstrap"),
        ("labs", "jq"),
        ("bench", "asciinema"),
        ("bench", "jq"),
        ("rules", "promtool"),
    ] {
        assert!(line(group).contains(tool), "{}", line(group));
    }
    assert!(!line("base").contains("jq") && !text(&need(&["-l", "base"]).stdout).contains("jq"));
}
