//! Courses by the command line: dates, people, classes, sites.

use crate::cli::{fails, ok, publish};
use std::os::unix::fs::PermissionsExt;

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
    let brand = ["site", "set", "Dakar", "--brand", "ESP Dakar"];
    assert!(ok(dir.path(), &brand).contains("its learners read: ESP Dakar / ESP Dakar"));
    assert!(ok(dir.path(), &["site", "ls"]).contains("Dakar  fablab  ESP Dakar"));
    ok(dir.path(), &["site", "set", "Dakar", "--no-brand"]);
    assert!(!ok(dir.path(), &["site", "ls"]).contains("ESP Dakar"));
    assert!(fails(dir.path(), &["site", "set", "Dakar"]).contains("--brand"));
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
    publish(dir.path());
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
