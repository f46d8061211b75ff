//! What authors are told of slips, of the text and of its fields.

use super::parse::tests::{GOOD, problems};

/// Words of parsers, which no author is to read.
const PARSERS_WORDS: [&str; 12] = [
    "did not find",
    "could not find",
    "not allowed",
    "token",
    "scalar",
    "sequence",
    "mapping",
    "invalid",
    "u32",
    "struct ",
    "variant",
    "anchor",
];

/// What is slipped into the good file, and what the author is told: line, field, and words of what is said.
type Slip = (&'static str, &'static str, usize, &'static str, &'static str);

fn are_told(slips: &[Slip]) {
    for (good, bad, line, field, says) in slips {
        assert!(GOOD.contains(*good), "{good}");
        let all = problems(&GOOD.replacen(good, bad, 1));
        let [p] = all.as_slice() else {
            panic!("{bad:?}: {all:?}")
        };
        assert_eq!((p.line, p.field.as_str()), (*line, *field), "{bad:?}: {p}");
        let said = p.to_string();
        assert!(said.contains(*says), "{bad:?}: {said}");
        assert!(
            ![&p.found, &p.expected, &p.remedy].iter().any(|s| s.is_empty()),
            "{said}"
        );
        assert!(PARSERS_WORDS.iter().all(|w| !said.contains(w)), "{bad:?}: {said}");
    }
}

const OF_TEXT: [Slip; 25] = [
    (
        "    kind: shell",
        "\tkind: shell",
        10,
        "kind",
        "a tab before `kind: shell`",
    ),
    ("    node: h1\n", "  \tnode: h1\n", 11, "node", "indent with spaces"),
    (
        "image: labwire",
        "image: \"labwire",
        5,
        "image",
        "opened and not closed",
    ),
    (
        "image: labwire",
        "image: 'labwire",
        5,
        "image",
        "close it with the same quote",
    ),
    (
        "{en: Tiny, fr: Petit}",
        "{en: Tiny, fr: 'L'hôte'}",
        3,
        "title",
        "`hôte'}` after a closing quote",
    ),
    (
        "image: labwire",
        "image: \"a\\d\" #",
        5,
        "image",
        "write the backslash twice",
    ),
    ("image: labwire", "image labwire", 5, "(file)", "a colon and a space"),
    ("image: labwire", "image:labwire", 5, "image", "`image: labwire/frr:1`"),
    ("One host.", "One: host.", 4, "summary", "between double quotes"),
    ("image: ", "image: one: ", 5, "image", "a second `: `"),
    (
        "fr: Petit}",
        "fr: Petit",
        3,
        "title",
        "`{` that is opened and not closed",
    ),
    (
        "infinity]",
        "infinity",
        13,
        "start",
        "`[` that is opened and not closed",
    ),
    ("Petit}", "Petit}}", 3, "title", "take the `}` out"),
    ("{en: Tiny, fr", "{en: Tiny fr", 3, "title", "missing `}` or comma"),
    ("    kind: shell", "   kind: shell", 10, "kind", "after 3 spaces"),
    ("    kind: shell", "     kind: shell", 10, "kind", "after 5 spaces"),
    ("  - id: up", "  -id: up", 15, "(file)", "a space after the dash"),
    (
        "image: labwire",
        "image: *labwire",
        5,
        "image",
        "goes between double quotes",
    ),
    (
        "image: labwire",
        "image: @labwire",
        5,
        "image",
        "a text that begins with `@`",
    ),
    (
        "image: labwire",
        "image: - labwire",
        5,
        "image",
        "begin the list on the next line",
    ),
    (
        "image: labwire",
        "image: | labwire",
        5,
        "image",
        "move the text to the next line",
    ),
    ("labwire/", "lab\u{1}wire/", 5, "image", "U+0001"),
    ("time:", "---\ntime:", 19, "(file)", "one lab a file"),
    (
        "labwire: 1\n",
        "%YAML 9.0\n---\nlabwire: 1\n",
        1,
        "(file)",
        "take the line out",
    ),
    ("id: tiny", "\tid: tiny", 2, "id", "a tab before"),
];

#[test]
fn every_slip_of_the_text_is_named_in_an_authors_words_with_a_remedy() {
    are_told(&OF_TEXT);
}

#[test]
fn no_cut_of_a_file_is_told_in_the_parsers_words() {
    // each of these is a file whose download, or whose author, stopped there
    for end in (1..GOOD.len()).filter(|n| GOOD.is_char_boundary(*n)) {
        for p in problems(&GOOD[..end]) {
            let said = p.to_string();
            assert!(PARSERS_WORDS.iter().all(|w| !said.contains(w)), "{end}: {said}");
        }
    }
    let deep = GOOD.replace("[sleep, infinity]", &format!("{}{}", "[".repeat(300), "]".repeat(300)));
    let p = &problems(&deep)[0];
    assert!(p.line == 13 && !p.remedy.is_empty(), "{p}");
}

const OF_FIELDS: [Slip; 17] = [
    (
        "image: ",
        "image: b\nimage: ",
        6,
        "image",
        "a second time (first on line 5)",
    ),
    (
        "    kind: shell",
        "    kind: shell\n    kind: shell",
        11,
        "terminals[0].kind",
        "take one of the two out",
    ),
    (
        "labwire: 1",
        "labwire: one",
        1,
        "labwire",
        "found `\"one\"`, expected a whole number",
    ),
    (
        "points: 10",
        "points: -3",
        17,
        "checks[0].points",
        "found `-3`, expected a whole number",
    ),
    ("x: 50", "x: 50.5", 7, "nodes[0].x", "from 0 to 255"),
    (
        "[sleep, infinity]",
        "sleep infinity",
        13,
        "start",
        "as a list, also when there is one entry",
    ),
    ("  - id: up\n", "    id: up\n", 15, "checks", "expected a list"),
    (
        "[\"true\"]",
        "{a: b}",
        18,
        "checks[0].command",
        "found fields (`name: value`)",
    ),
    (
        "title: {en: Tiny, fr: Petit}",
        "title: Tiny",
        3,
        "title",
        "in English and in French",
    ),
    (", fr: Petit", "", 3, "title.fr", "add `fr:` to `title`"),
    ("start: [sleep, infinity]\n", "", 1, "start", "add `start:`"),
    ("image: ", "imag: ", 5, "imag", "did you mean `image`?"),
    (
        "kind: shell",
        "kind: shel",
        10,
        "terminals[0].kind",
        "did you mean `shell`?",
    ),
    ("kind: host", "kind: [host]", 7, "nodes[0].kind", "found"),
    (
        "idle: 20m",
        "idle: soon",
        19,
        "time.idle",
        "a duration like 90s, 45m or 2h",
    ),
    (
        "idle: 20m",
        "idle: [20m]",
        19,
        "time.idle",
        "found a list, expected a duration",
    ),
    (
        "time: {planned: 5m, max: 1h, idle: 20m}",
        "time: 5m",
        19,
        "time",
        "expected fields",
    ),
];

#[test]
fn every_wrong_field_is_named_in_an_authors_words_with_a_remedy() {
    are_told(&OF_FIELDS);
}

#[test]
fn references_that_multiply_are_refused_with_what_to_write_instead() {
    // 600 checks with 600 words each out of two lines
    let words = vec!["*w"; 600].join(", ");
    let checks = vec!["*c"; 600].join(", ");
    let head = GOOD.split("start:").next().unwrap();
    let check = format!("{{id: up, title: {{en: Up, fr: Actif}}, points: 10, command: [{words}]}}");
    let bomb =
        format!("{head}start: [&w sleep]\nchecks: [&c {check}, {checks}]\ntime: {{planned: 5m, max: 1h, idle: 20m}}\n");
    let p = &problems(&bomb)[0];
    assert!(p.found.contains("references"), "{p}");
    assert!(p.remedy.contains("write the values themselves"), "{p}");
}
