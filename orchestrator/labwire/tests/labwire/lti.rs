//! `labwire lti` by running it: connecting a course, in the order in which somebody does it.

use crate::cli::{LAB, fails, labwire, ok, text};
use std::{os::unix::fs::PermissionsExt, path::Path};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn publish(dir: &Path) {
    std::fs::create_dir(dir.join("tiny")).unwrap();
    std::fs::write(dir.join("tiny/lab.yaml"), LAB).unwrap();
    ok(dir, &["lab", "publish", "tiny/lab.yaml"]);
}

#[test]
fn a_guide_is_there_before_the_registration_and_says_which_lab_it_is_of() {
    let dir = tempfile::tempdir().unwrap();
    let before = ok(dir.path(), &["lti", "guide", "openedx"]);
    assert!(
        before.contains("No lab is published yet") && before.contains("/lti/labs/<lab>"),
        "{before}"
    );
    publish(dir.path());
    for platform in ["openedx", "moodle"] {
        let guide = ok(dir.path(), &["lti", "guide", platform, "--lab", "tiny"]);
        for said in [
            "of the lab tiny",
            "/lti/jwks",
            "/lti/login",
            "labwire lti add NAME",
            "Deployment ID",
        ] {
            assert!(guide.contains(said), "{platform}: {said}: {guide}");
        }
    }
    assert!(fails(dir.path(), &["lti", "guide", "moodle", "--lab", "big"]).contains("labwire lab ls"));
}

#[test]
fn a_secret_that_was_given_is_not_said_to_be_as_it_was_and_is_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path());
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    let add = ["lti", "add", "fun", "--key", "imt-net101", "--plan", "QUALIFYING"];
    let given = ok(dir.path(), &[&add[..], &["--secret-file", "secret"]].concat());
    assert!(
        given.contains("the one of --secret-file") && !given.contains("as it was"),
        "{given}"
    );
    let changed = ok(dir.path(), &add);
    assert!(
        changed.contains("fun changed") && changed.contains("as it was; never shown again"),
        "{changed}"
    );
    let shown = ok(dir.path(), &["lti", "ls", "fun"]);
    assert!(
        shown.contains("imt-net101") && shown.contains("of the lab tiny") && shown.contains("lti:imt-net101#"),
        "{shown}"
    );
    let tried = labwire(dir.path(), &["lti", "test", "fun"]);
    let said = text(&tried.stdout);
    assert!(
        tried.status.success() && said.contains("no launch was taken or refused so far") && said.contains("LTI 1.1"),
        "{said}"
    );
    for said in [given, changed, shown, said] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_platform_that_cannot_be_asked_is_said_to_be_so_with_its_remedy_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path());
    // ours, and so not asked unless the settings name it
    let (keys, token) = ("http://127.0.0.1:9/keys", "http://127.0.0.1:9/token");
    let add = [
        "lti",
        "add",
        "edx",
        "--issuer",
        "https://lms.example.org",
        "--client-id",
        "6f1c",
        "--auth-url",
        "https://lms.example.org/auth",
        "--token-url",
        token,
        "--jwks-url",
        keys,
        "--deployment",
        "1",
        "--plan",
        "QUALIFYING",
    ];
    let added = ok(dir.path(), &add);
    assert!(
        added.contains("begins with http://") && !added.contains("ends with a slash"),
        "{added}"
    );
    let slash = add.map(|word| {
        if word == "https://lms.example.org" {
            "https://lms.example.org/"
        } else {
            word
        }
    });
    let added = ok(dir.path(), &slash);
    assert!(added.contains("https://lms.example.org/ ends with a slash"), "{added}");
    ok(dir.path(), &add);
    let shown = ok(dir.path(), &["lti", "ls", "edx"]);
    for told in ["https://lms.example.org/auth", keys, token, "6f1c", "Deployment IDs"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    let refused = labwire(dir.path(), &["lti", "test", "edx"]);
    let said = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("lti-keys-private") && said.contains("lti.private_hosts") && said.contains("plan QUALIFYING"),
        "{said}"
    );
    // allowed, and nobody is there
    std::fs::write(dir.path().join("labwire.yaml"), "lti: {private_hosts: [127.0.0.1]}\n").unwrap();
    let silent = labwire(dir.path(), &["lti", "test", "edx", "--config", "labwire.yaml"]);
    let said = text(&silent.stdout);
    assert!(
        said.contains("lti-keys-unreachable") && said.contains("refused") && said.contains("curl -v"),
        "{said}"
    );
}

#[test]
fn a_registration_is_removed_only_with_a_yes_and_comes_back_with_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let add = ["lti", "add", "fun", "--key", "imt", "--plan", "QUALIFYING"];
    ok(dir.path(), &[&add[..], &["--grants-max", "30"]].concat());
    let asked = fails(dir.path(), &["lti", "remove", "fun"]);
    assert!(asked.contains("--yes"), "{asked}");
    assert!(ok(dir.path(), &["lti", "ls"]).contains("0/30 grants"));
    let removed = ok(dir.path(), &["lti", "remove", "fun", "--yes"]);
    assert!(
        removed.contains("0 people") && removed.contains("labwire lti add fun --plan 'QUALIFYING' --key 'imt'"),
        "{removed}"
    );
    assert!(!ok(dir.path(), &["lti", "ls"]).contains("fun"));
    assert!(fails(dir.path(), &["lti", "remove", "fun", "--yes"]).contains("labwire lti ls"));
    ok(dir.path(), &add);
    assert!(ok(dir.path(), &["lti", "ls"]).contains("0/30 grants"), "as was agreed");
}

#[test]
fn what_of_an_agreement_is_not_given_again_stays_and_none_takes_it_away() {
    let dir = tempfile::tempdir().unwrap();
    let add = |more: &[&str]| {
        ok(dir.path(), &[&["lti", "add", "fun", "--key", "imt"][..], more].concat());
        ok(dir.path(), &["lti", "ls", "fun"])
    };
    add(&["--may-ask", "QUALIFYING", "--hours-max", "100"]);
    let more = add(&["--grants-max", "30"]);
    for stays in ["QUALIFYING", "0/30 grants", "/100:00:00"] {
        assert!(more.contains(stays), "{stays}: {more}");
    }
    let less = add(&["--may-ask", "none", "--hours-max", "none"]);
    assert!(
        less.contains("0/30 grants") && !less.contains("/100:00:00") && !less.contains("QUALIFYING"),
        "{less}"
    );
    let wrong = fails(dir.path(), &["lti", "add", "fun", "--key", "imt", "--grants-max", "0"]);
    assert!(wrong.contains("1000000, or none"), "{wrong}");
}

#[test]
fn lab_time_for_a_course_that_nobody_launches_is_told_before_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let course = "lms.example.org#course-v1:IMT+NET101";
    ok(dir.path(), &["course", "add", course, "--title", "Réseaux"]);
    let give = ["grant", "--learner", "ada", "--plan", "QUALIFYING", "--course"];
    let cut = fails(dir.path(), &[&give[..], &["course-v1:IMT+NET101"]].concat());
    assert!(cut.contains(&format!("is {course} meant?")), "{cut}");
    ok(dir.path(), &[&give[..], &[course]].concat());
    ok(
        dir.path(),
        &[&give[..], &["course-v1:IMT+NET101", "--new-course"]].concat(),
    );
}

#[test]
fn a_slip_in_a_name_is_refused_with_what_was_meant_and_a_new_name_is_not() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["course", "add", "net", "--title", "Réseaux"]);
    let add = ["lti", "add", "fun", "--key", "imt", "--course"];
    let slip = fails(dir.path(), &[&add[..], &["nett"]].concat());
    assert!(
        slip.contains("is net meant?") && slip.contains("--new-course") && slip.contains("labwire course add nett"),
        "{slip}"
    );
    ok(dir.path(), &[&add[..], &["nett", "--new-course"]].concat());
    ok(dir.path(), &[&add[..], &["security-2027"]].concat());
    ok(dir.path(), &[&add[..], &["none"]].concat());
    let zone = fails(dir.path(), &["course", "add", "net", "--zone", "Europe/Pariss"]);
    assert!(
        zone.contains("--zone") && zone.contains("is Europe/Paris meant?"),
        "{zone}"
    );
}

#[test]
fn a_key_for_a_shop_goes_into_a_file_of_its_owner_and_not_on_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let add = ["order", "key", "add", "shop", "--course", "net", "--plan", "QUALIFYING"];
    let said = labwire(dir.path(), &[&add[..], &["--out", "shop.key"]].concat());
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert_eq!(text(&said.stdout), "");
    let path = dir.path().join("shop.key");
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.starts_with("lwo_") && key.ends_with('\n') && !text(&said.stderr).contains(key.trim()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // a key that would be lost is not made
    assert!(fails(dir.path(), &[&add[..], &["--out", "shop.key"]].concat()).contains("--out shop.key"));
    assert_eq!(ok(dir.path(), &["order", "key", "ls"]).matches("shop ").count(), 1);
}
