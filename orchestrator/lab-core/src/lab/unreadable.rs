//! What an author is told of a text that is not YAML. The parser stops where it can read no further, in its own words and often lines
//! below the slip (an opened quote takes in all up to the next one); authors are told what stands there, and what to do.

use super::LabProblem;
use serde::de::IgnoredAny;

/// Longest piece of the text that is shown, in characters: what fits beside the rest on a line of a terminal.
const SHOWN_MAX: usize = 40;

/// The first place at which `text` is no YAML, or no single document; none when it can be read.
pub(super) fn problem(text: &str) -> Option<LabProblem> {
    if let Some(control) = control(text) {
        return Some(control);
    }
    let error = serde_yaml::from_str::<IgnoredAny>(text).err()?;
    Some(Stop::new(text, &error).problem())
}

/// Where the parser stopped. Lines and columns from 1; a column counts characters.
struct Stop<'t> {
    text: &'t str,
    /// The parser's words, without places.
    said: String,
    line: usize,
    column: usize,
    /// Line on which began what could not be finished.
    begun: usize,
}

/// What is wrong, before its field is known.
struct Wrong {
    line: usize,
    found: String,
    expected: &'static str,
    remedy: String,
}

impl<'t> Stop<'t> {
    fn new(text: &'t str, error: &serde_yaml::Error) -> Self {
        let said = error.to_string();
        let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
        // the place of what was begun stands in the text alone, after the second "at line"; missing when it is the same
        let begun = said
            .rsplit_once(", while ")
            .and_then(|(_, context)| context.split_once(" at line "))
            .and_then(|(_, place)| place.split(' ').next()?.parse().ok());
        Self {
            text,
            begun: begun.unwrap_or(line),
            said,
            line,
            column,
        }
    }

    fn problem(&self) -> LabProblem {
        let wrong = self
            .whole()
            .or_else(|| self.tab())
            .or_else(|| self.quote())
            .or_else(|| self.bracket())
            .or_else(|| self.colon())
            .or_else(|| self.sign())
            .unwrap_or_else(|| self.indentation());
        LabProblem {
            line: wrong.line,
            field: key(self.line_text(wrong.line)).unwrap_or("(file)").to_owned(),
            found: wrong.found,
            expected: wrong.expected.to_owned(),
            remedy: wrong.remedy,
        }
    }

    fn line_text(&self, line: usize) -> &'t str {
        self.text.lines().nth(line - 1).unwrap_or_default()
    }

    /// What stands where the parser stopped, to the end of the line.
    fn here(&self) -> &'t str {
        from_char(self.line_text(self.line), self.column - 1).trim_end()
    }

    fn before(&self) -> &'t str {
        let line = self.line_text(self.line);
        &line[..line.len() - from_char(line, self.column - 1).len()]
    }

    fn says(&self, words: &str) -> bool {
        self.said.contains(words)
    }

    /// What concerns the file as a whole.
    fn whole(&self) -> Option<Wrong> {
        if self.says("more than one document") {
            let second = |(n, l): (usize, &str)| (n > 0 && l.starts_with("---")).then_some(n + 1);
            return Some(Wrong {
                line: self.text.lines().enumerate().find_map(second).unwrap_or(1),
                found: "a second document after `---`".into(),
                expected: "one lab a file",
                remedy: "take the `---` out, or put the second lab into a file of its own".into(),
            });
        }
        if self.says("recursion limit") {
            return Some(Wrong {
                line: self.line,
                found: "lists or maps more than 100 deep".into(),
                expected: "a lab file, which is five deep",
                remedy: "look for brackets that are opened and not closed".into(),
            });
        }
        let directive = self.line_text(self.line).starts_with('%');
        (directive || self.says("incompatible YAML document")).then(|| Wrong {
            line: self.line,
            found: "a directive of YAML, which begins with `%`".into(),
            expected: "the lab's fields",
            remedy: "take the line out".into(),
        })
    }

    fn tab(&self) -> Option<Wrong> {
        let line = self.line_text(self.line);
        let indentation = &line[..line.len() - line.trim_start().len()];
        indentation.contains('\t').then(|| Wrong {
            line: self.line,
            found: format!("a tab before {}", shown(line)),
            expected: "spaces",
            remedy: "indent with spaces, two for each level".into(),
        })
    }

    /// A quote that is not closed, or closed where the text goes on.
    fn quote(&self) -> Option<Wrong> {
        if self.says("unknown escape") || self.says("escape code") || self.says("hexadecimal") {
            return Some(Wrong {
                line: self.line,
                found: format!(
                    "a backslash that begins nothing known, in {}",
                    shown(self.line_text(self.line))
                ),
                expected: "\\n, \\t, \\\" or \\\\ between double quotes",
                remedy: "write the backslash twice, or the text between single quotes ('…')".into(),
            });
        }
        let unclosed = |line: usize| Wrong {
            line,
            found: format!(
                "a quote that is opened and not closed on this line, in {}",
                shown(self.line_text(line))
            ),
            expected: "a quote at the text's end too",
            remedy: "close it with the same quote; a text of several lines goes below `|`".into(),
        };
        if self.says("quoted scalar") {
            return Some(unclosed(self.begun));
        }
        if let Some(line) = (1..=self.line)
            .rev()
            .take(LOOK_BACK)
            .find(|n| opens(self.line_text(*n)))
        {
            return Some(unclosed(line));
        }
        let early = self.before().trim_end().ends_with(['\'', '"']) && !self.here().is_empty();
        early.then(|| Wrong {
            line: self.line,
            found: format!("{} after a closing quote", shown(self.here())),
            expected: "nothing after a quoted text but a comma or the line's end",
            remedy: "put the whole text between quotes; a quote inside '…' is written twice ('')".into(),
        })
    }

    /// Lists and maps between brackets.
    fn bracket(&self) -> Option<Wrong> {
        let close = match self.said.split(" at line ").next()? {
            s if s.ends_with("',' or '}'") => '}',
            s if s.ends_with("',' or ']'") => ']',
            _ => {
                let stray = self.here().chars().next().filter(|c| matches!(c, '}' | ']' | ','))?;
                return Some(Wrong {
                    line: self.line,
                    found: format!(
                        "`{stray}` where nothing is open or a value is missing, in {}",
                        shown(self.line_text(self.line))
                    ),
                    expected: "a value, or the line's end",
                    remedy: format!(
                        "write the value, take the `{stray}` out, or put a text that holds it between quotes"
                    ),
                });
            }
        };
        let (expected, kind) = match close {
            '}' => ("`}` at its end, and a comma between entries", "{"),
            _ => ("`]` at its end, and a comma between entries", "["),
        };
        if self.begun != self.line || self.here().is_empty() {
            return Some(Wrong {
                line: self.begun,
                found: format!(
                    "`{kind}` that is opened and not closed, in {}",
                    shown(self.line_text(self.begun))
                ),
                expected,
                remedy: format!("write the missing `{close}` or comma"),
            });
        }
        Some(Wrong {
            line: self.line,
            found: format!("{} after {}", shown(self.here()), shown_end(self.before())),
            expected,
            remedy: format!(
                "write the missing `{close}` or comma; a text that holds `: `, a comma, a bracket or a quote goes between double quotes"
            ),
        })
    }

    /// `name: value`, with too few colons or too many.
    fn colon(&self) -> Option<Wrong> {
        if self.says("could not find expected ':'") {
            let line = self.line_text(self.begun).trim();
            let joined = line
                .trim_start_matches("- ")
                .split_once(':')
                .filter(|(name, _)| is_name(name));
            return Some(Wrong {
                line: self.begun,
                found: shown(line),
                expected: "`name: value`",
                remedy: match joined {
                    Some((name, value)) => format!("put a space after the colon: {}", shown(&format!("{name}: {value}"))),
                    None => "write a colon and a space after the name; a text of several lines stands deeper than its name, below `|`".into(),
                },
            });
        }
        let before = self.before();
        (self.says("mapping values are not allowed") && before.contains(": ")).then(|| Wrong {
            line: self.line,
            found: format!("a second `: ` in {}", shown(self.line_text(self.line))),
            expected: "one `name: value` a line",
            remedy: "put the text after the first colon between double quotes".into(),
        })
    }

    /// Signs that mean something to YAML where a text was meant.
    fn sign(&self) -> Option<Wrong> {
        let first = self.here().chars().next()?;
        let alias = self.says("anchor") || self.says("alias");
        if alias {
            return Some(Wrong {
                line: self.line,
                found: format!(
                    "{}, a reference (`*name`) to nothing that is named above (`&name`)",
                    shown(self.here())
                ),
                expected: "a value",
                remedy: "write the value itself; a text that begins with `*` or `&` goes between double quotes".into(),
            });
        }
        if self.says("block sequence entries") {
            return Some(Wrong {
                line: self.line,
                found: format!("a list's entry on its name's line, {}", shown(self.here())),
                expected: "each entry on a line of its own",
                remedy: "begin the list on the next line, or write it as [a, b]".into(),
            });
        }
        if self.says("block scalar") {
            return Some(Wrong {
                line: self.begun,
                found: format!(
                    "text on the line of `|` or `>`, or before it begins, in {}",
                    shown(self.line_text(self.begun))
                ),
                expected: "the text on the lines below, deeper than its name",
                remedy: "move the text to the next line and indent it".into(),
            });
        }
        let odd =
            self.says("cannot start any token") || self.says("tag") || self.says("URI") || self.says("alphabetic");
        odd.then(|| Wrong {
            line: self.line,
            found: format!("`{first}` at the beginning of {}", shown(self.here())),
            expected: "a text, number, list or map",
            remedy: format!("put a text that begins with `{first}` between double quotes"),
        })
    }

    /// What is left: lines that do not stand below each other.
    fn indentation(&self) -> Wrong {
        let dash = |n: &usize| {
            self.line_text(*n)
                .trim()
                .strip_prefix('-')
                .is_some_and(|rest| key(rest).is_some() && !rest.starts_with([' ', '-']))
        };
        if let Some(line) = [self.line, self.line.saturating_sub(1).max(1)].into_iter().find(dash) {
            return Wrong {
                line,
                found: shown(self.line_text(line)),
                expected: "a dash and a space before a list's entry",
                remedy: "put a space after the dash".into(),
            };
        }
        let line = self.line_text(self.line);
        let spaces = line.len() - line.trim_start().len();
        let what = if line.trim().is_empty() {
            "the text's end".to_owned()
        } else {
            shown(line)
        };
        Wrong {
            line: self.line,
            found: format!("{what} after {spaces} spaces, which fits nothing above"),
            expected: "the indentation of the entries beside it",
            remedy: "line it up with them; all entries of a list or map stand in the same column".into(),
        }
    }
}

/// Lines that are looked at, upwards, for a quote left open: an instruction's longest paragraph.
const LOOK_BACK: usize = 40;

/// Does a value on this line begin with a quote that this line does not close?
fn opens(line: &str) -> bool {
    let value = match line.split_once(": ") {
        Some((name, value)) if is_name(name.trim().trim_start_matches("- ")) => value.trim(),
        _ => line.trim().trim_start_matches("- "),
    };
    ['"', '\''].iter().any(|q| {
        let body = value.strip_prefix(*q).map(|v| v.replace("\\\"", "").replace("''", ""));
        body.is_some_and(|b| !b.contains(*q))
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The field that a line sets.
fn key(line: &str) -> Option<&str> {
    let name = line.trim().trim_start_matches("- ").split(':').next()?.trim_end();
    (is_name(name) && line.contains(':')).then_some(name)
}

/// A character that no YAML may hold.
fn control(text: &str) -> Option<LabProblem> {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let at = text.find(bad)?;
    let c = text[at..].chars().next()?;
    let line = text[..at].matches('\n').count() + 1;
    Some(LabProblem {
        line,
        field: key(text.lines().nth(line - 1)?).unwrap_or("(file)").to_owned(),
        found: format!("the control character U+{:04X}", u32::from(c)),
        expected: "text".into(),
        remedy: "delete it; it does not show in most editors, so write the line anew".into(),
    })
}

fn from_char(line: &str, n: usize) -> &str {
    line.char_indices().nth(n).map_or("", |(at, _)| &line[at..])
}

/// A piece of the text, between backquotes, cut.
pub(super) fn shown(text: &str) -> String {
    let text = text.trim();
    let short: String = text.chars().take(SHOWN_MAX).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{short}{more}`")
}

/// The same of its end.
fn shown_end(text: &str) -> String {
    let text = text.trim();
    let cut = text.chars().count().saturating_sub(SHOWN_MAX / 2);
    let more = if cut > 0 { "…" } else { "" };
    format!("`{more}{}`", from_char(text, cut))
}
