//! From a lab file's bytes to a checked version.

use super::{LabFile, locate, mistyped, rules, unreadable};
use crate::{
    LabDigest, SessionId,
    agent::{AgentSpec, CheckSpec, LabFileEntry, PROTOCOL_VERSION, TerminalSpec},
    limits,
};

/// An immutable version of a lab: the file's bytes and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabVersion {
    pub digest: LabDigest,
    /// The file as written.
    pub source: String,
    pub file: LabFile,
}

/// One thing wrong with a lab file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabProblem {
    /// From 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// Path like `terminals[2].prompt`.
    pub field: String,
    /// What was found, cut to one line.
    pub found: String,
    pub expected: String,
    /// What to do; empty where `expected` says it.
    pub remedy: String,
}

impl std::fmt::Display for LabProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "line {}: {}: found {}, expected {}",
            self.line, self.field, self.found, self.expected
        )?;
        if self.remedy.is_empty() {
            return Ok(());
        }
        write!(f, "; {}", self.remedy)
    }
}

/// Everything wrong with a lab file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {} problem(s), first: {}", .problems.len(), .problems.first().map(ToString::to_string).unwrap_or_default())]
pub struct LabRefused {
    /// File name, for people.
    pub name: String,
    /// In file order; never empty.
    pub problems: Vec<LabProblem>,
}

impl LabVersion {
    /// Reads a lab file. `name` is used in messages only.
    pub fn parse(name: &str, source: &[u8]) -> Result<Self, LabRefused> {
        let refuse = |problem: LabProblem| LabRefused {
            name: name.to_owned(),
            problems: vec![problem],
        };
        let text = text(source).map_err(refuse)?;
        // all of it is read before any of it is judged: a slip of the text makes fields seem missing that are there
        if let Some(problem) = unreadable::problem(text) {
            return Err(refuse(problem));
        }
        let file: LabFile = serde_yaml::from_str(text).map_err(|e| refuse(mistyped::problem(text, &e)))?;
        let problems: Vec<LabProblem> = rules::check(&file)
            .into_iter()
            .map(|b| LabProblem {
                line: locate::line_of(text, &b.field),
                field: b.field,
                found: b.found,
                expected: b.expected,
                remedy: String::new(),
            })
            .collect();
        if !problems.is_empty() {
            return Err(LabRefused {
                name: name.to_owned(),
                problems,
            });
        }
        Ok(Self {
            digest: LabDigest(blake3::hash(source).to_hex().to_string()),
            // with everything that its digest is of
            source: String::from_utf8_lossy(source).into_owned(),
            file,
        })
    }

    /// What the agent of a sandbox of this lab is told.
    pub fn agent_spec(&self, session: SessionId) -> AgentSpec {
        let f = &self.file;
        AgentSpec {
            protocol: PROTOCOL_VERSION,
            session,
            files: f
                .files
                .iter()
                .map(|e| LabFileEntry {
                    path: e.path.clone(),
                    mode: u32::from_str_radix(&e.mode, 8).unwrap_or(0o644),
                    content: e.content.clone(),
                })
                .collect(),
            start: f.start.clone(),
            ready: f.ready.clone(),
            ready_within_ms: f.ready_within.secs * 1000,
            terminals: f
                .terminals
                .iter()
                .map(|t| TerminalSpec {
                    id: t.id.clone(),
                    kind: t.kind,
                    command: t.command.clone(),
                    socket: t.socket.clone(),
                    prompt: t.prompt.clone(),
                })
                .collect(),
            checks: f
                .checks
                .iter()
                .map(|c| CheckSpec {
                    id: c.id.clone(),
                    command: c.command.clone(),
                    within_ms: c.within.secs * 1000,
                    points: c.points,
                })
                .collect(),
            record_input: f.recording.input,
            env: vec![
                ("LANG".into(), "C.UTF-8".into()),
                ("TERM".into(), "xterm-256color".into()),
            ],
        }
    }
}

/// The file as text, without the mark that some editors of Windows put before it.
fn text(source: &[u8]) -> Result<&str, LabProblem> {
    let refuse = |line, found: String, expected: String, remedy: &str| LabProblem {
        line,
        field: "(file)".into(),
        found,
        expected,
        remedy: remedy.into(),
    };
    if source.len() > limits::LAB_FILE_BYTES_MAX {
        let most = format!("at most {} bytes", limits::LAB_FILE_BYTES_MAX);
        let remedy = "put large files into the image instead of `files`";
        return Err(refuse(1, format!("{} bytes or more", source.len()), most, remedy));
    }
    let text = std::str::from_utf8(source).map_err(|e| {
        let line = source[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        let (found, expected) = ("bytes that are not UTF-8".into(), "UTF-8 text".into());
        refuse(
            line,
            found,
            expected,
            "save the file anew as UTF-8 (an editor's \"save as\")",
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// JSON Schema of the lab file, for editors.
pub fn lab_schema() -> serde_json::Value {
    schemars::schema_for!(LabFile).into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::lab) const GOOD: &str = r#"labwire: 1
id: tiny
title: {en: Tiny, fr: Petit}
summary: {en: One host., fr: Un hôte.}
image: labwire/frr:1
nodes:
  - {id: h1, kind: host, x: 50, y: 50, terminal: h1}
terminals:
  - id: h1
    kind: shell
    node: h1
    command: [bash]
start: [sleep, infinity]
checks:
  - id: up
    title: {en: Up, fr: Actif}
    points: 10
    command: ["true"]
time: {planned: 5m, max: 1h, idle: 20m}
"#;

    pub(in crate::lab) fn problems(text: &str) -> Vec<LabProblem> {
        LabVersion::parse("lab.yaml", text.as_bytes()).map_or_else(|e| e.problems, |_| Vec::new())
    }

    #[test]
    fn a_version_is_named_by_its_bytes() {
        let one = LabVersion::parse("a", GOOD.as_bytes()).unwrap();
        let two = LabVersion::parse("b", format!("{GOOD}\n").as_bytes()).unwrap();
        assert_eq!(one.file, two.file);
        assert_ne!(one.digest, two.digest);
        assert_eq!(one.digest.as_str().len(), 64);
        // some editors of Windows put a mark before the text: the same lab, another version
        let marked = LabVersion::parse("c", format!("\u{feff}{GOOD}").as_bytes()).unwrap();
        assert_eq!(marked.file, one.file);
        assert_eq!(LabVersion::parse("d", marked.source.as_bytes()).unwrap(), marked);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_line() {
        let bad = GOOD
            .replace("points: 10", "points: 0")
            .replace("terminal: h1}", "terminal: h9}")
            .replace("max: 1h", "max: 1s");
        let seen: Vec<(usize, String)> = problems(&bad).into_iter().map(|p| (p.line, p.field)).collect();
        assert_eq!(
            seen,
            [
                (7, "nodes[0].terminal".into()),
                (17, "checks[0].points".into()),
                (19, "time.max".into()),
                (19, "time.planned".into())
            ]
        );
    }

    #[test]
    fn a_wrong_value_says_field_found_and_expected() {
        let p = &problems(&GOOD.replace("kind: shell", "kind: shel"))[0];
        assert_eq!((p.line, p.field.as_str()), (10, "terminals[0].kind"), "{p}");
        assert!(p.found.contains("shel") && p.expected.contains("shell"), "{p}");
        let p = &problems(&GOOD.replace("idle: 20m", "idle: soon"))[0];
        assert_eq!(
            (p.line, p.field.as_str(), p.found.as_str()),
            (19, "time.idle", "\"soon\""),
            "{p}"
        );
        let p = &problems(&GOOD.replace("image: ", "imgae: "))[0];
        assert!(p.line == 5 && p.field == "imgae" && p.expected.contains("image"), "{p}");
        let p = &problems(&GOOD.replace("start: [sleep, infinity]\n", ""))[0];
        assert!(p.expected.contains("start"), "{p}");
    }

    #[test]
    fn a_lab_of_machines_is_told_what_it_lacks() {
        let vm = GOOD
            .replace("nodes:", "runtime: vm\nsize: medium\nnodes:")
            .replace("kind: shell", "kind: serial")
            .replace("command: [bash]", "socket: /lab/vm/h1/console\n    prompt: '# $'");
        let spec = LabVersion::parse("vm.yaml", vm.as_bytes())
            .unwrap()
            .agent_spec(SessionId(uuid::Uuid::nil()));
        assert_eq!(spec.terminals[0].socket.as_deref(), Some("/lab/vm/h1/console"));
        let fields = |text: &str| problems(text).into_iter().map(|p| p.field).collect::<Vec<_>>();
        let cases = [
            (vm.replace("medium", "small"), "size"),
            (vm.replace("runtime: vm", "runtime: vm\nnamespaces: true"), "namespaces"),
            (vm.replace("kind: serial", "kind: router"), "terminals[0].socket"),
            (vm.replace("socket: /lab", "socket: lab"), "terminals[0].socket"),
            (
                vm.replace("socket: ", "command: [cu]\n    socket: "),
                "terminals[0].socket",
            ),
            (vm.replace("    prompt: '# $'\n", ""), "terminals[0].prompt"),
            (
                GOOD.replace("command: [bash]", "title: {en: A, fr: B}"),
                "terminals[0].command",
            ),
        ];
        for (text, field) in cases {
            assert_eq!(fields(&text), [field], "{text}");
        }
    }

    #[test]
    fn bombs_binary_and_oversized_files_are_refused_at_once() {
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
        for (from, to) in ('a'..'j').zip('b'..='j') {
            bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(","));
        }
        for text in [
            bomb.as_bytes(),
            b"\xff\xfe\x00",
            &vec![b'a'; 1024 * 1024],
            b"",
            b"[]",
            b"- - - -",
            b"labwire: *x",
        ] {
            assert!(LabVersion::parse("bad.yaml", text).is_err());
        }
    }
}
