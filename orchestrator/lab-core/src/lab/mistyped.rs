//! What an author is told of YAML that is no lab file: an unknown or missing field, one that is there twice, a value of another kind. The
//! parser's errors read `path: what, expected what at line …`, in its own words for kinds; authors read theirs.

use super::{LabProblem, locate, unreadable::shown};
use crate::nearest;

/// The parser's error, taken apart.
pub(super) fn problem(text: &str, e: &serde_yaml::Error) -> LabProblem {
    let said = e.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let (path, rest) = match said.split_once(": ") {
        Some((path, rest)) if !path.contains(' ') => (path, rest),
        _ => ("", said),
    };
    let line = e.location().map_or(0, |l| l.line());
    if let Some(name) = ticked(rest, "missing field ") {
        return missing(line, path, name);
    }
    if let Some(name) = ticked(rest, "duplicate field ") {
        return twice(text, path, name);
    }
    if rest.contains("repetition limit") {
        return LabProblem {
            line,
            field: field(path),
            found: "references (`*name`) to references, which come to far more than is written".into(),
            expected: "a lab file that says what it means".into(),
            remedy: "write the values themselves instead of `&name` and `*name`".into(),
        };
    }
    let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, "another value"));
    for (kind, what) in [("unknown field ", "field"), ("unknown variant ", "value")] {
        if let Some(name) = ticked(found, kind) {
            return unknown(line, path, name, expected, what);
        }
    }
    let expected = kind_expected(expected);
    LabProblem {
        line,
        field: field(path),
        found: kind_found(found),
        remedy: remedy(&expected).into(),
        expected,
    }
}

fn field(path: &str) -> String {
    if path.is_empty() { "(file)".into() } else { path.into() }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.into()
    } else {
        format!("{path}.{name}")
    }
}

/// What stands between backquotes after these words.
fn ticked<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    text.strip_prefix(words)?.strip_prefix('`')?.split('`').next()
}

fn missing(line: usize, path: &str, name: &str) -> LabProblem {
    LabProblem {
        line,
        field: below(path, name),
        found: "nothing".into(),
        expected: format!("`{name}`"),
        remedy: match path {
            "" => format!("add `{name}:` at the beginning of a line (`labwire lab schema` says what it holds)"),
            _ => format!("add `{name}:` to `{path}`, lined up with its other fields"),
        },
    }
}

fn twice(text: &str, path: &str, name: &str) -> LabProblem {
    let field = below(path, name);
    LabProblem {
        line: locate::line_of_second(text, &field),
        found: format!(
            "`{name}` a second time (first on line {})",
            locate::line_of(text, &field)
        ),
        expected: "each field once".into(),
        remedy: "take one of the two out, or begin the next entry of the list with `- `".into(),
        field,
    }
}

fn unknown(line: usize, path: &str, name: &str, expected: &str, what: &str) -> LabProblem {
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let near = nearest(name, known.iter().copied());
    LabProblem {
        line,
        field: if what == "field" {
            below(path, name)
        } else {
            field(path)
        },
        found: format!("{}, which is no known {what}", shown(name)),
        expected: match known.as_slice() {
            [one] => format!("`{one}`"),
            _ => format!("one of {}", known.join(", ")),
        },
        remedy: match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if what == "field" => "take it out, or move it to where it belongs".into(),
            None => "write one of these".into(),
        },
    }
}

/// What the parser found, which it names with its kind (a string, an integer), as it was written.
fn kind_found(found: &str) -> String {
    let found = found.trim_start_matches("found ");
    let what = found
        .strip_prefix("invalid type: ")
        .or_else(|| found.strip_prefix("invalid value: "))
        .or_else(|| found.strip_prefix("invalid length "));
    let Some(what) = what else {
        return found.to_owned();
    };
    match what {
        "map" => "fields (`name: value`)".into(),
        "sequence" => "a list".into(),
        "unit value" => "nothing".into(),
        _ => match what.find(['`', '"']) {
            Some(at) => shown(what[at..].trim_matches('`')),
            None => what.to_owned(),
        },
    }
}

const LIST: &str = "a list, [a, b] or lines that begin with `- `";
const FIELDS: &str = "fields (`name: value`)";
const BOTH: &str = "the text in both languages, {en: …, fr: …}";
const NUMBER: &str = "a whole number, 0 or more";
const TEXT: &str = "a text";

fn kind_expected(expected: &str) -> String {
    match expected {
        "a sequence" => LIST,
        "a string" => TEXT,
        "u8" => "a whole number from 0 to 255",
        "u16" | "u32" | "u64" | "usize" => NUMBER,
        "a boolean" => "true or false",
        "struct Bilingual" => BOTH,
        "field identifier" => "a field's name",
        "struct LabFile" => "a lab file, which begins with `labwire: 1`",
        other if other.starts_with("struct ") || other == "a map" => FIELDS,
        other => other,
    }
    .to_owned()
}

fn remedy(expected: &str) -> &'static str {
    match expected {
        LIST => "write it as a list, also when there is one entry",
        TEXT => "write a text there, between double quotes if it holds `: `, a bracket or a comma",
        BOTH => "write it in English and in French",
        FIELDS => "write its fields below it, two spaces deeper, or as {name: value}",
        _ => "write that there (`labwire lab schema` prints what each field holds)",
    }
}
