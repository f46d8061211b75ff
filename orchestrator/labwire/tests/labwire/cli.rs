//! The command line, by running it.

use std::{
    path::Path,
    process::{Command, Output},
};

pub const LAB: &str = "labwire: 1\nid: tiny\ntitle: {en: Tiny, fr: Petit}\nsummary: {en: One host., fr: Un hôte.}\n\
                   image: labwire/frr:1\nterminals:\n  - {id: h1, kind: shell, command: [bash]}\nstart: [sleep, infinity]\n\
                   time: {planned: 20m, max: 60m, idle: 15m}\n";

/// Runs labwire in a folder, with no setting of this machine.
pub fn labwire(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labwire"));
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("LABWIRE_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).args(args).output().expect("the binary runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that must succeed.
pub fn ok(dir: &Path, args: &[&str]) -> String {
    let out = labwire(dir, args);
    assert!(
        out.status.success(),
        "labwire {}: {}",
        args.join(" "),
        text(&out.stderr)
    );
    text(&out.stdout)
}

/// The lab `tiny`, published.
pub fn publish(dir: &Path) {
    std::fs::write(dir.join("lab.yaml"), LAB).unwrap();
    ok(dir, &["lab", "publish", "lab.yaml"]);
}

/// Standard error of a command that must fail.
pub fn fails(dir: &Path, args: &[&str]) -> String {
    let out = labwire(dir, args);
    assert!(
        !out.status.success(),
        "labwire {}: {}",
        args.join(" "),
        text(&out.stdout)
    );
    text(&out.stderr)
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_labwire"));
    let mut schema = command
        .current_dir(dir.path())
        .args(["lab", "schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(schema.stdout.take());
    let out = schema.wait_with_output().unwrap();
    assert_eq!((out.status.code(), text(&out.stderr).as_str()), (Some(141), ""));
}

#[test]
fn a_database_that_was_not_there_is_said_aloud_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = labwire(dir.path(), &["usage"]);
    assert!(first.status.success());
    let said = text(&first.stderr);
    assert!(
        said.contains("labwire.db was not there") && said.contains("--config"),
        "{said}"
    );
    let second = labwire(dir.path(), &["usage"]);
    assert_eq!(text(&second.stderr), "");
}

#[test]
fn every_problem_of_a_configuration_is_named_at_once_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let bad = "instalation: x\nlisten: nope\nruntime: {kind: podman, speed: 9}\nkeys: [{id: a, secret: hunter2}]\n\
               limits: {sandboxes_max: 0, recording_bytes_max: 4 MB}\nplans: [{id: P}]\n";
    std::fs::write(dir.path().join("bad.yaml"), bad).unwrap();
    let out = labwire(dir.path(), &["check-config", "--config", "bad.yaml"]);
    assert!(!out.status.success());
    let said = text(&out.stderr);
    for key in [
        "instalation",
        "listen",
        "runtime.kind",
        "runtime.speed",
        "keys[0].secret",
        "limits.sandboxes_max",
        "limits.recording_bytes_max",
        "plans[0]",
    ] {
        assert!(
            said.contains(&format!("\n  {key}: found ")),
            "{key} is not named in: {said}"
        );
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn what_several_replicas_cannot_share_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("three.yaml"), "replicas: 3\n").unwrap();
    let out = labwire(dir.path(), &["serve", "--config", "three.yaml"]);
    assert!(!out.status.success());
    let said = text(&out.stderr);
    assert!(
        said.contains("database: found SQLite with 3 replicas; use postgres://"),
        "{said}"
    );
    assert!(said.contains("keys: found none with 3 replicas"), "{said}");
}

#[test]
fn recordings_in_a_bucket_are_shown_without_their_secret() {
    let dir = tempfile::tempdir().unwrap();
    let config = "recordings: s3://class/2026/net\ns3: {endpoint: 'https://s3.example.org/', access_key: me, secret_key: hunter2}\n";
    std::fs::write(dir.path().join("s3.yaml"), config).unwrap();
    let shown = ok(dir.path(), &["check-config", "--config", "s3.yaml"]);
    for part in [
        "s3://class/2026/net",
        "endpoint: https://s3.example.org\n",
        "path_style: true",
        "access_key: me",
    ] {
        assert!(shown.contains(part), "{part} is not in: {shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    std::fs::write(
        dir.path().join("half.yaml"),
        "recordings: s3://class\ns3: {access_key: me}\n",
    )
    .unwrap();
    let out = labwire(dir.path(), &["check-config", "--config", "half.yaml"]);
    assert!(
        text(&out.stderr).contains("s3.access_key: found one of"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn a_database_is_migrated_by_a_step_of_its_own_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ok(dir.path(), &["migrate"]).contains("is migrated (schema 0 to "));
    assert!(ok(dir.path(), &["migrate"]).contains("is up to date"));
}

#[test]
fn the_example_is_the_defaults_and_flags_come_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let example = ok(dir.path(), &["example-config"]);
    std::fs::write(dir.path().join("labwire.yaml"), &example).unwrap();
    let with = ok(dir.path(), &["check-config", "--config", "labwire.yaml"]);
    assert_eq!(with, ok(dir.path(), &["check-config"]));
    let flagged = ok(
        dir.path(),
        &["check-config", "--config", "labwire.yaml", "--listen", "127.0.0.1:9999"],
    );
    assert!(flagged.contains("127.0.0.1:9999"), "{flagged}");
}

#[test]
fn a_password_is_not_shown_in_the_settings_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let shown = ok(
        dir.path(),
        &["check-config", "--database", "postgres://lab:hunter2@db/labwire"],
    );
    assert!(
        shown.contains("postgres://lab:(set)@db/labwire") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn lab_time_is_given_in_decimal_hours_that_are_whole_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let grant = |hours| {
        [
            "grant",
            "--learner",
            "ada",
            "--course",
            "net",
            "--plan",
            "QUALIFYING",
            "--hours",
            hours,
        ]
    };
    assert!(ok(dir.path(), &grant("1.5")).contains("1:30:00"));
    assert!(ok(dir.path(), &grant("0.01")).contains("0:00:36"));
    for (hours, says) in [
        ("0.333", "no whole number of seconds"),
        ("1h", "write hours like 2 or 1.5"),
        ("20001", "write hours like"),
    ] {
        let said = fails(dir.path(), &grant(hours));
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn an_export_that_cannot_be_is_refused_with_what_can() {
    let dir = tempfile::tempdir().unwrap();
    let export = |more: &[&str]| {
        let session = "0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11";
        fails(
            dir.path(),
            &[&["recording", "export", session, "--format"][..], more].concat(),
        )
    };
    assert!(export(&["gif"]).contains("asciicast-v3, text or journal"));
    assert!(export(&["journal", "--terminal", "r1"]).contains("leave it out"));
    // of a session that is not here, by all formats
    for format in ["journal", "text"] {
        assert!(export(&[format]).contains("not there"), "{format}");
    }
}

#[test]
fn a_report_of_nobody_and_nothing_is_refused_with_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    publish(dir);
    ok(dir, &["course", "add", "networks", "--title", "Networks"]);
    ok(
        dir,
        &[
            "grant",
            "--learner",
            "ada",
            "--course",
            "networks",
            "--plan",
            "QUALIFYING",
        ],
    );
    for (args, says) in [
        (
            ["usage", "--course", "netwroks"],
            "there is no such course; is networks meant?",
        ),
        (
            ["usage", "--course", "chemistry"],
            "there is no such course; `labwire course ls`",
        ),
        (["usage", "--lab", "tinny"], "there is no such lab; is tiny meant?"),
        (
            ["usage", "--learner", "nobody"],
            "there is no such learner; nobody of that id",
        ),
    ] {
        let said = fails(dir, &args);
        assert!(said.contains(says), "{said}");
    }
    for known in [
        ["usage", "--course", "networks"],
        ["usage", "--lab", "tiny"],
        ["usage", "--learner", "ada"],
    ] {
        assert!(
            ok(dir, &known).contains("total"),
            "nothing was used yet, and that is an answer"
        );
    }
}

#[test]
fn new_launches_are_paused_and_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let drain = |args: &[&str]| ok(dir.path(), &[&["drain"], args].concat());
    assert_eq!(drain(&["status"]), "new launches are taken\n");
    drain(&["on", "--reason", "New disks.", "--minutes", "30"]);
    let said = drain(&["status"]);
    assert!(
        said.contains("by labwire drain: New disks.") && said.contains("come back at 20"),
        "{said}"
    );
    let said = drain(&["on", "--reason", "It takes longer."]);
    assert!(said.contains("It takes longer.") && said.contains("no time"), "{said}");
    for _ in 0..2 {
        assert_eq!(drain(&["off"]), "new launches are taken\n");
    }
    for bad in [
        &["on", "--reason", " "][..],
        &["on", "--reason", "x", "--minutes", "0"],
        &["on"],
    ] {
        let out = labwire(dir.path(), &[&["drain"], bad].concat());
        assert!(!out.status.success(), "{bad:?}");
        assert!(text(&out.stderr).contains("--"), "{}", text(&out.stderr));
    }
}

#[test]
fn doctor_names_what_is_missing_and_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = labwire(
        dir.path(),
        &[
            "doctor",
            "--runtime",
            "process",
            "--agent",
            "nowhere",
            "--listen",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    assert!(said.contains("MISSING agent") && said.contains("make agent"), "{said}");
    assert!(!dir.path().join("labwire-data").exists(), "looking makes nothing");
}

#[test]
fn doctor_says_that_labs_on_docker_may_fill_the_disk_unless_it_has_quotas() {
    let dir = tempfile::tempdir().unwrap();
    let risk = |runtime: &str, quota: &str| {
        let settings = format!("runtime: {{kind: {runtime}, agent: nowhere, disk_quota: {quota}}}\n");
        std::fs::write(dir.path().join("quota.yaml"), settings).unwrap();
        let out = labwire(
            dir.path(),
            &["doctor", "--config", "quota.yaml", "--listen", "127.0.0.1:0"],
        );
        text(&out.stdout).contains("RISK    quota")
    };
    assert!(risk("docker", "false"));
    assert!(!risk("docker", "true"));
    assert!(
        !risk("process", "false"),
        "it limits nothing at all, and says so itself"
    );
}

#[test]
fn health_of_no_server_says_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    // port 1 is reserved and nobody's
    let out = labwire(dir.path(), &["health", "--listen", "127.0.0.1:1"]);
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("labwire serve"), "{}", text(&out.stderr));
}
