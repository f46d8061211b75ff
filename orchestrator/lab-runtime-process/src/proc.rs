//! What `/proc` says: whether a process is the one we started, and which processes belong to a sandbox.

use std::{collections::HashSet, fs, path::Path};

/// A process, named so that a later process with the same number is not taken for it: process ids are reused, and a
/// sandbox outlives the orchestrator that noted its id. (Start time: clock ticks since boot, field 22 of `stat`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ProcessId {
    pub pid: i32,
    pub started_ticks: u64,
}

/// The fields of `/proc/PID/stat` that are used here.
struct Stat {
    state: u8,
    parent: i32,
    started_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started_ticks: stat(pid)?.started_ticks,
        })
    }

    /// Whether it still runs. A zombie does not: it has no memory, no files and no shells any more.
    pub fn runs(self) -> bool {
        stat(self.pid).is_some_and(|s| s.started_ticks == self.started_ticks && !matches!(s.state, b'Z' | b'X'))
    }
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and a name may hold brackets and spaces: the fields are counted
    // from the last bracket.
    let close = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(close + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // `state` was field 3 and `parent` field 4; 22 is 17 fields after `parent`, which `nth` counts from 0.
    let started_ticks = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        started_ticks,
    })
}

/// Every live process of a sandbox: those that carry `mark` in their environment, and everything below them.
///
/// Both are needed. Terminals start sessions of their own, so the agent's session is not enough; children of a killed agent
/// are handed to init, so the tree is not enough; and a learner may start a program with an empty environment, so the mark
/// is not enough.
pub(crate) fn members(mark: &str) -> Vec<ProcessId> {
    let all: Vec<(ProcessId, i32)> = pids()
        .filter_map(|pid| {
            let s = stat(pid)?;
            let id = ProcessId {
                pid,
                started_ticks: s.started_ticks,
            };
            (!matches!(s.state, b'Z' | b'X')).then_some((id, s.parent))
        })
        .collect();
    let mut found: HashSet<i32> = all
        .iter()
        .map(|(id, _)| id.pid)
        .filter(|pid| is_marked(*pid, mark))
        .collect();
    // Parents may stand anywhere in the list: passes are repeated until one adds nothing (at most the tree's depth).
    loop {
        let before = found.len();
        found.extend(
            all.iter()
                .filter(|(_, parent)| found.contains(parent))
                .map(|(id, _)| id.pid)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            break;
        }
    }
    all.into_iter()
        .map(|(id, _)| id)
        .filter(|id| found.contains(&id.pid))
        .collect()
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
}

/// Whether the environment the process was started with holds exactly this `NAME=value`. Processes of other users are not
/// readable, and are never ours.
fn is_marked(pid: i32, mark: &str) -> bool {
    fs::read(Path::new("/proc").join(pid.to_string()).join("environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == mark.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let me = ProcessId::of(std::process::id() as i32).unwrap();
        assert!(me.runs());
        let reused = ProcessId {
            started_ticks: me.started_ticks + 1,
            ..me
        };
        assert!(!reused.runs(), "a later process with the same number is another one");
    }

    #[test]
    fn a_program_with_brackets_in_its_name_is_read_right() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a) R 1 (b");
        fs::copy("/bin/sleep", &odd).unwrap();
        let mut child = std::process::Command::new(&odd).arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        assert_eq!(stat(id.pid).unwrap().parent, std::process::id() as i32);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!id.runs());
    }
}
