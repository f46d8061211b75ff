//! Our own logs name nobody (docs/privacy.md): no call that writes a line of them has a person among its fields.

use std::{
    fs,
    path::{Path, PathBuf},
};

const CALLS: &[&str] = &[
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "_span!(",
    "log::line(",
    ".record(",
];

/// What people are called by, here and at their platforms.
const PEOPLE: &[&str] = &[
    "subject",
    "alias",
    "email",
    "actor",
    "actor_name",
    "login_hint",
    "sub",
    "lis_person_sourcedid",
];

/// Whose `name` is a person's; a role's, a plan's or a state's is not.
const NAMED: &[&str] = &[
    "login", "claims", "session", "viewer", "person", "learner", "row", "same",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// From behind the opening parenthesis to the one that closes it.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    let end = text.char_indices().find(|(_, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// What in a call's arguments says who somebody is.
fn person_in(arguments: &str) -> Option<String> {
    let words: Vec<&str> = arguments
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '('))
        .collect();
    let parts = |word: &str| -> Vec<String> { word.split(['.', '(']).map(str::to_owned).collect() };
    words
        .iter()
        .find(|word| {
            let parts = parts(word);
            let named = |pair: &[String]| NAMED.contains(&pair[0].as_str()) && pair[1] == "name";
            parts.iter().any(|p| PEOPLE.contains(&p.as_str())) || parts.windows(2).any(named)
        })
        .map(|word| (*word).to_owned())
}

#[test]
fn no_line_of_our_logs_says_who_somebody_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for entry in fs::read_dir(root).unwrap().flatten() {
        sources(&entry.path().join("src"), &mut files);
    }
    assert!(files.len() > 200, "the sources are found: {}", files.len());
    let mut calls = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for call in CALLS {
            for (at, _) in text.match_indices(call) {
                calls += 1;
                let said = arguments(&text[at + call.len()..]);
                let person = person_in(said);
                assert_eq!(person, None, "{}: {call}{said})", file.display());
            }
        }
    }
    assert!(calls > 100, "the calls are found: {calls}");
}

#[test]
fn a_person_is_seen_however_it_is_written() {
    for said in [
        "alias = %same.alias, \"x\"",
        "%subject, \"x\"",
        "\"gone: {subject}\"",
        "who = login.name, \"x\"",
        "\"x\", login.subject",
        "to = address.email.as_str()",
    ] {
        assert!(person_in(said).is_some(), "{said}");
    }
    for said in [
        "role = login.role.name(), \"signed in\"",
        "state = session.state.name()",
        "\"a person was forgotten\"",
    ] {
        assert_eq!(person_in(said), None, "{said}");
    }
}
