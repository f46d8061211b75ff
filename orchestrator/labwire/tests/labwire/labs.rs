//! Labs by the command line: checked, published, withdrawn.

use crate::cli::{LAB, fails, labwire, ok, publish, text};
use std::os::unix::fs::PermissionsExt;

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
    publish(dir);
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
fn the_schema_of_lab_files_is_json() {
    let dir = tempfile::tempdir().unwrap();
    let schema: serde_json::Value = serde_json::from_str(&ok(dir.path(), &["lab", "schema"])).unwrap();
    assert!(schema["properties"]["terminals"].is_object(), "{schema}");
}
