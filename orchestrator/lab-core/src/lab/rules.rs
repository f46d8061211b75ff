//! Rules a well-formed lab file must keep. Each broken one is a problem; all are reported at once.

use super::{FileEntry, LabFile, RuntimeKind, SizeClass, Terminal};
use crate::{agent::TerminalKind, limits};
use std::collections::BTreeSet;

/// A problem before its line is known.
pub(super) struct Broken {
    pub field: String,
    pub found: String,
    pub expected: String,
}

/// Collects problems.
#[derive(Default)]
struct Report(Vec<Broken>);

impl Report {
    fn unless(&mut self, holds: bool, field: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) {
        if !holds {
            self.0.push(Broken {
                field: field.into(),
                found: found.into(),
                expected: expected.into(),
            });
        }
    }

    /// Ids that are well formed and used once; the set of them.
    fn ids<'a>(&mut self, list: &str, ids: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        for (n, id) in ids.enumerate() {
            let field = format!("{list}[{n}].id");
            self.unless(
                is_id(id),
                &field,
                quoted(id),
                "1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit",
            );
            self.unless(
                seen.insert(id),
                &field,
                format!("{id:?} a second time"),
                "an id used once in this list",
            );
        }
        seen
    }
}

fn is_id(id: &str) -> bool {
    (1..=63).contains(&id.len())
        && !id.starts_with('-')
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("{short:?}")
}

fn names<'a>(set: &BTreeSet<&'a str>) -> String {
    set.iter().copied().collect::<Vec<&'a str>>().join(", ")
}

/// Every rule, over the whole file.
pub(super) fn check(f: &LabFile) -> Vec<Broken> {
    let mut r = Report::default();
    r.unless(
        f.labwire == 1,
        "labwire",
        f.labwire.to_string(),
        "1, the only format version",
    );
    r.unless(
        is_id(f.id.as_str()),
        "id",
        quoted(f.id.as_str()),
        "1 to 63 of a-z, 0-9 and '-'",
    );
    r.unless(
        is_image(&f.image),
        "image",
        quoted(&f.image),
        "an image name like labwire/frr:1",
    );
    r.unless(f.user != 0, "user", "0", "a uid other than root's, e.g. 1000");
    r.unless(
        !f.start.is_empty(),
        "start",
        "an empty list",
        "the command that brings the lab up",
    );
    machines(&mut r, f);
    files(&mut r, &f.files);
    let terminals = terminals(&mut r, f);
    let nodes = nodes_and_links(&mut r, f, &terminals);
    for (n, t) in f.terminals.iter().enumerate() {
        if let Some(node) = &t.node {
            r.unless(
                nodes.contains(node.as_str()),
                format!("terminals[{n}].node"),
                quoted(node),
                format!("one of {}", names(&nodes)),
            );
        }
    }
    checks_and_steps(&mut r, f);
    times(&mut r, f);
    r.0
}

/// What a lab of virtual machines must say.
fn machines(r: &mut Report, f: &LabFile) {
    if f.runtime != RuntimeKind::Vm {
        return;
    }
    r.unless(
        f.size != SizeClass::Small,
        "size",
        "small, which a machine with QEMU beside it does not fit into",
        "medium or large, for `runtime: vm`",
    );
    r.unless(
        !f.namespaces,
        "namespaces",
        "true",
        "false, for `runtime: vm`: a machine has a kernel of its own",
    );
}

fn is_image(image: &str) -> bool {
    (1..=255).contains(&image.len())
        && image
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/:._-@".contains(&b))
        && image.as_bytes()[0].is_ascii_alphanumeric()
}

fn files(r: &mut Report, files: &[FileEntry]) {
    for (n, e) in files.iter().enumerate() {
        let inside = e.path.starts_with("/lab/") && e.path.split('/').skip(1).all(|p| !matches!(p, "" | "." | ".."));
        r.unless(
            inside,
            format!("files[{n}].path"),
            quoted(&e.path),
            "a path under /lab/ without '..'",
        );
        let mode = u32::from_str_radix(&e.mode, 8).is_ok_and(|m| m <= 0o777);
        r.unless(
            mode,
            format!("files[{n}].mode"),
            quoted(&e.mode),
            "octal permission bits like \"0644\", at most \"0777\"",
        );
    }
}

fn terminals<'a>(r: &mut Report, f: &'a LabFile) -> BTreeSet<&'a str> {
    let count = f.terminals.len();
    r.unless(
        (1..=limits::TERMINALS_MAX).contains(&count),
        "terminals",
        format!("{count} terminals"),
        format!("1 to {}", limits::TERMINALS_MAX),
    );
    let ids = r.ids("terminals", f.terminals.iter().map(|t| t.id.as_str()));
    for (n, t) in f.terminals.iter().enumerate() {
        program(r, n, t);
        match &t.prompt {
            Some(p) => {
                let error = regex::bytes::Regex::new(p)
                    .err()
                    .map(|e| e.to_string().replace('\n', " "));
                r.unless(
                    error.is_none(),
                    format!("terminals[{n}].prompt"),
                    quoted(p),
                    format!("a regular expression ({})", error.unwrap_or_default()),
                );
            }
            None => r.unless(
                t.kind == TerminalKind::Shell,
                format!("terminals[{n}].prompt"),
                "nothing",
                "a prompt pattern (only shells can do without)",
            ),
        }
    }
    ids
}

/// A terminal has a program, or the socket of a serial line.
fn program(r: &mut Report, n: usize, t: &Terminal) {
    let Some(socket) = &t.socket else {
        r.unless(
            !t.command.is_empty(),
            format!("terminals[{n}].command"),
            "nothing",
            "the program to run, or for a serial line its `socket`",
        );
        return;
    };
    let field = format!("terminals[{n}].socket");
    r.unless(
        t.kind == TerminalKind::Serial,
        &field,
        quoted(socket),
        "a socket only with `kind: serial`",
    );
    r.unless(t.command.is_empty(), &field, "a socket and a command", "one of the two");
    let path = socket.starts_with('/') && socket.split('/').skip(1).all(|p| !matches!(p, "" | "." | ".."));
    r.unless(
        path && socket.len() <= limits::SOCKET_PATH_BYTES_MAX,
        field,
        quoted(socket),
        format!(
            "an absolute path without '..' of at most {} bytes",
            limits::SOCKET_PATH_BYTES_MAX
        ),
    );
}

fn nodes_and_links<'a>(r: &mut Report, f: &'a LabFile, terminals: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    let nodes = r.ids("nodes", f.nodes.iter().map(|n| n.id.as_str()));
    for (n, node) in f.nodes.iter().enumerate() {
        r.unless(
            node.x <= 100,
            format!("nodes[{n}].x"),
            node.x.to_string(),
            "0 to 100 percent",
        );
        r.unless(
            node.y <= 100,
            format!("nodes[{n}].y"),
            node.y.to_string(),
            "0 to 100 percent",
        );
        if let Some(t) = &node.terminal {
            r.unless(
                terminals.contains(t.as_str()),
                format!("nodes[{n}].terminal"),
                quoted(t.as_str()),
                format!("one of {}", names(terminals)),
            );
        }
    }
    r.ids("links", f.links.iter().map(|l| l.id.as_str()));
    for (n, link) in f.links.iter().enumerate() {
        for (side, end) in [("a", &link.a), ("b", &link.b)] {
            r.unless(
                nodes.contains(end.node.as_str()),
                format!("links[{n}].{side}.node"),
                quoted(&end.node),
                format!("one of {}", names(&nodes)),
            );
        }
    }
    nodes
}

fn checks_and_steps(r: &mut Report, f: &LabFile) {
    let checks = r.ids("checks", f.checks.iter().map(|c| c.id.as_str()));
    for (n, c) in f.checks.iter().enumerate() {
        r.unless(
            !c.command.is_empty(),
            format!("checks[{n}].command"),
            "an empty list",
            "a command that exits with 0 when passed",
        );
        r.unless(
            (1..=1000).contains(&c.points),
            format!("checks[{n}].points"),
            c.points.to_string(),
            "1 to 1000",
        );
        r.unless(
            (1..=300).contains(&c.within.secs),
            format!("checks[{n}].within"),
            String::from(c.within),
            "1s to 5m",
        );
    }
    r.ids("instructions", f.instructions.iter().map(|s| s.id.as_str()));
    for (n, step) in f.instructions.iter().enumerate() {
        for (m, c) in step.checks.iter().enumerate() {
            r.unless(
                checks.contains(c.as_str()),
                format!("instructions[{n}].checks[{m}]"),
                quoted(c.as_str()),
                format!("one of {}", names(&checks)),
            );
        }
    }
}

fn times(r: &mut Report, f: &LabFile) {
    let t = &f.time;
    let day = 24 * 3600;
    r.unless(
        (60..=day).contains(&t.max.secs),
        "time.max",
        String::from(t.max),
        "1m to 24h",
    );
    r.unless(
        (1..=t.max.secs).contains(&t.planned.secs),
        "time.planned",
        String::from(t.planned),
        "1s to time.max",
    );
    r.unless(
        (60..=day).contains(&t.idle.secs),
        "time.idle",
        String::from(t.idle),
        "1m to 24h",
    );
    r.unless(
        (1..=1800).contains(&f.ready_within.secs),
        "ready_within",
        String::from(f.ready_within),
        "1s to 30m",
    );
}
