//! The command line, by running it.

use std::{
    os::unix::fs::PermissionsExt,
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
               limits: {sandboxes_max: 0}\nplans: [{id: P}]\n";
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
fn a_lab_file_is_checked_published_granted_and_linked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("lab.yaml"), LAB).unwrap();
    std::fs::write(dir.join("wrong.yaml"), LAB.replace("kind: shell", "kind: teapot")).unwrap();
    let wrong = labwire(dir, &["lab", "check", "lab.yaml", "wrong.yaml"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stdout).contains("wrong.yaml:7:"), "{}", text(&wrong.stdout));
    ok(dir, &["lab", "publish", "lab.yaml"]);
    assert!(ok(dir, &["lab", "ls"]).contains("tiny"));
    assert!(
        ok(
            dir,
            &[
                "grant",
                "--learner",
                "ada",
                "--course",
                "net",
                "--plan",
                "QUALIFYING",
                "--seconds",
                "120"
            ]
        )
        .contains("0:02:00")
    );
    let link = ok(dir, &["link", "--learner", "ada", "--course", "net", "--lab", "tiny"]);
    assert!(link.starts_with("http://localhost:8080/launch?token=ey"), "{link}");
    let missing = labwire(dir, &["link", "--learner", "ada", "--course", "net", "--lab", "other"]);
    assert!(
        text(&missing.stderr).contains("--lab other is not published"),
        "{}",
        text(&missing.stderr)
    );
    let mode = std::fs::metadata(dir.join("labwire-data/keys.yaml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "keys are their owner's only");
    assert_eq!(ok(dir, &["usage", "--format", "json"]).trim(), "[]");
}

#[test]
fn a_lab_is_withdrawn_and_published_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("lab.yaml"), LAB).unwrap();
    ok(dir, &["lab", "publish", "lab.yaml"]);
    let said = ok(dir, &["lab", "withdraw", "tiny"]);
    assert!(
        said.contains("0 session(s)") && said.contains("lab withdraw tiny --undo"),
        "{said}"
    );
    assert!(!ok(dir, &["lab", "ls"]).contains("tiny"));
    let link = ["link", "--learner", "ada", "--course", "net", "--lab", "tiny"];
    let said = fails(dir, &link);
    assert!(
        said.contains("--lab tiny is withdrawn") && said.contains("--undo"),
        "{said}"
    );
    assert!(ok(dir, &["lab", "withdraw", "tiny"]).contains("was withdrawn before"));
    assert!(ok(dir, &["lab", "withdraw", "tiny", "--undo"]).contains("is published again"));
    assert!(ok(dir, &["lab", "ls"]).contains("tiny"));
    assert!(ok(dir, &link).contains("/launch?token="));
    let said = fails(dir, &["lab", "withdraw", "tinny"]);
    assert!(said.contains("there is no lab tinny; is tiny meant?"), "{said}");
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
fn a_report_of_nobody_and_nothing_is_refused_with_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("lab.yaml"), LAB).unwrap();
    ok(dir, &["lab", "publish", "lab.yaml"]);
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
fn a_lab_whose_image_could_not_be_looked_for_is_published_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("lab.yaml"), LAB).unwrap();
    std::fs::write(
        dir.join("labwire.yaml"),
        "runtime: {kind: docker, agent: /bin/true, host: 'unix:///nowhere.sock'}\n",
    )
    .unwrap();
    let out = labwire(dir, &["lab", "publish", "--config", "labwire.yaml", "lab.yaml"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("was not looked at"), "{}", text(&out.stderr));
    let said = fails(
        dir,
        &["lab", "check", "--images", "--config", "labwire.yaml", "lab.yaml"],
    );
    assert!(
        said.contains("nowhere.sock") || said.contains("does not answer"),
        "{said}"
    );
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
fn the_schema_of_lab_files_is_json() {
    let dir = tempfile::tempdir().unwrap();
    let schema: serde_json::Value = serde_json::from_str(&ok(dir.path(), &["lab", "schema"])).unwrap();
    assert!(schema["properties"]["terminals"].is_object(), "{schema}");
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
fn a_course_is_given_its_dates_closed_and_extended_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let said = fails(
        dir.path(),
        &["course", "add", "net", "--closes", "2027-06-30T22:00:00Z"],
    );
    assert!(said.contains("--title"), "{said}");
    let said = fails(
        dir.path(),
        &["course", "add", "net", "--title", "Réseaux", "--closes", "2027-06-30"],
    );
    assert!(said.contains("2027-06-30T23:59:59+02:00, or never"), "{said}");
    let add = [
        "course",
        "add",
        "net",
        "--title",
        "Réseaux",
        "--opens",
        "2024-02-29T08:00:00+01:00",
        "--closes",
        "2099-06-30T23:59:59+02:00",
    ];
    let said = ok(
        dir.path(),
        &[&add[..], &["--zone", "Europe/Paris", "--site", "FabLab"]].concat(),
    );
    assert!(
        said.contains("opens 2024-02-29T07:00:00Z, closes 2099-06-30T21:59:59Z (shown in Europe/Paris)"),
        "{said}"
    );
    let said = fails(
        dir.path(),
        &["course", "add", "net", "--closes", "2024-02-29T07:00:00Z"],
    );
    assert!(
        said.contains("--closes") && said.contains("close it after it opens"),
        "{said}"
    );
    assert!(ok(dir.path(), &["course", "ls"]).contains("net     open  2024-02-29T07:00:00Z"));

    let said = fails(
        dir.path(),
        &["course", "extend", "net", "ada", "--until", "2099-01-01T00:00:00Z"],
    );
    assert!(said.contains("closes on 2099-06-30T21:59:59Z"), "{said}");
    assert!(ok(dir.path(), &["course", "close", "net"]).contains("No new lab"));
    let said = ok(
        dir.path(),
        &["course", "extend", "net", "ada", "--until", "2099-01-01T00:00:00Z"],
    );
    assert!(said.contains("no lab time left"), "{said}");
    let shown = ok(dir.path(), &["course", "show", "net"]);
    assert!(
        shown.contains("closed") && shown.contains("ada") && shown.contains("FabLab"),
        "{shown}"
    );
    assert!(ok(dir.path(), &["course", "add", "net", "--closes", "never"]).contains("It is open now"));
    assert!(ok(dir.path(), &["course", "show", "other"]).contains("always open"));
    assert!(fails(dir.path(), &["course", "close", "other"]).contains("labwire course add other"));
}

#[test]
fn a_class_comes_from_a_spreadsheet_once_whole_or_not_at_all_and_goes_back_into_one() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("class.csv"), text).unwrap();
    write(
        "\u{feff}Identifiant;Nom;Cohorte;Tuteur;Formule\r\nzoe;Zoé Œuvrard;Été;prof;QUALIFYING\r\nlin;Lin;Été;;GOLD\r\n",
    );
    let said = fails(dir.path(), &["course", "import", "net", "class.csv"]);
    assert!(
        said.contains("line 3: plan \"GOLD\": use one of") && said.contains("nothing was changed"),
        "{said}"
    );
    assert!(!ok(dir.path(), &["course", "people", "net"]).contains("zoe"));

    write(
        "Identifiant;Nom;Cohorte;École;Type de site;Tuteur;Formule\r\nzoe;Zoé Œuvrard;Été;Dakar;école;prof;QUALIFYING\r\nlin;Lin;Été;;;;\r\n",
    );
    let said = ok(dir.path(), &["course", "import", "net", "class.csv", "--dry-run"]);
    assert!(said.contains("add  zoe") && said.contains("Nothing was"), "{said}");
    assert!(!ok(dir.path(), &["course", "people", "net"]).contains("zoe"));
    let said = ok(dir.path(), &["course", "import", "net", "class.csv"]);
    assert!(said.contains("2 added, 0 changed, 0 as they were; 1 grants"), "{said}");
    let said = ok(dir.path(), &["course", "import", "net", "class.csv"]);
    assert!(said.contains("0 added, 0 changed, 2 as they were; 0 grants"), "{said}");
    assert!(ok(dir.path(), &["reconcile"]).contains("Every second is accounted for"));

    ok(
        dir.path(),
        &[
            "course",
            "export",
            "net",
            "--separator",
            "semicolon",
            "--out",
            "net.csv",
        ],
    );
    let mode = std::fs::metadata(dir.path().join("net.csv"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        std::fs::read_to_string(dir.path().join("net.csv"))
            .unwrap()
            .contains("zoe;Zoé Œuvrard;Été;Dakar;school;prof;;QUALIFYING")
    );
    assert!(ok(dir.path(), &["site", "ls"]).contains("Dakar  school"));
    ok(dir.path(), &["site", "set", "Dakar", "--kind", "FabLab"]);
    let period = ["--from", "2026-01-01", "--to", "2099-01-01"];
    let told = ok(dir.path(), &[&["statement", "--site", "Dakar"][..], &period].concat());
    assert!(told.contains("site Dakar (FabLab)"), "{told}");
    assert!(
        fails(dir.path(), &["site", "set", "Dakar", "--kind", "university"])
            .contains("use one of fablab, company, school")
    );
    let said = ok(dir.path(), &["course", "import", "net", "net.csv", "--dry-run"]);
    assert!(said.contains("nothing to do"), "{said}");
    assert!(ok(dir.path(), &["course", "remove", "net", "lin"]).contains("not listed"));
    assert!(fails(dir.path(), &["course", "remove", "net", "lin"]).contains("labwire course people net"));
}

#[test]
fn a_class_is_scheduled_for_a_lab_that_is_there_and_taken_off() {
    let dir = tempfile::tempdir().unwrap();
    let add = |lab, until, learners| {
        [
            "course",
            "class",
            "add",
            "net",
            "--lab",
            lab,
            "--room",
            "B-204",
            "--from",
            "2099-03-02T14:00:00+01:00",
            "--until",
            until,
            "--learners",
            learners,
        ]
    };
    let end = "2099-03-02T17:00:00+01:00";
    assert!(fails(dir.path(), &add("tiny", end, "13")).contains("labwire lab publish"));
    std::fs::write(dir.path().join("tiny.yaml"), LAB).unwrap();
    ok(dir.path(), &["lab", "publish", "tiny.yaml"]);
    assert!(fails(dir.path(), &add("tiny", "2099-03-02T14:00:00+01:00", "13")).contains("--until"));
    assert!(fails(dir.path(), &add("tiny", end, "0")).contains("--learners"));
    let said = ok(dir.path(), &add("tiny", end, "13"));
    assert!(said.contains("13 labs are ready from 2099-03-02T12:50:00Z"), "{said}");
    assert!(ok(dir.path(), &["course", "class", "ls"]).contains("B-204"));
    assert!(ok(dir.path(), &["course", "show", "net"]).contains("B-204"));
    let rm = [
        "course",
        "class",
        "rm",
        "net",
        "--lab",
        "tiny",
        "--from",
        "2099-03-02T13:00:00Z",
    ];
    assert!(ok(dir.path(), &rm).contains("taken off"));
    assert!(fails(dir.path(), &rm).contains("labwire course class ls"));
}
