//! Every process below the agent, found through `/proc`: labs put processes into sessions, groups and namespaces of
//! their own, so no group and no session reaches all of them.

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::{HashMap, HashSet},
    fs,
};

/// Passes over `/proc`: what forks while it is walked is found by the next pass, and once everything has stopped nothing
/// forks any more.
const PASSES_MAX: usize = 8;
/// Parents of a process that are looked through: shells in shells are a dozen deep, and a fork bomb is as deep as it likes. What stands deeper is
/// the lab's.
const PARENTS_MAX: usize = 256;
/// Tries to follow parents while they end: two looks at a process that lives agree at once.
const LOOKS_MAX: usize = 3;

/// What a walk of signals found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Processes that ran when the walk began.
    pub ran: usize,
    /// The last pass found nothing new.
    pub quiet: bool,
}

/// A process: its parent, and whether it can go on by itself.
#[derive(Clone, Copy, Debug)]
struct Stat {
    parent: i32,
    runs: bool,
}

/// Sends `signal` to all descendants, until a pass finds none that is new.
pub fn signal_all(signal: Signal) -> Walk {
    let mut done = HashSet::new();
    let mut ran = 0;
    for pass in 0..PASSES_MAX {
        let all = all();
        if pass == 0 {
            ran = all.iter().filter(|(_, stat)| stat.runs).count();
        }
        let new: Vec<i32> = all
            .into_iter()
            .map(|(pid, _)| pid)
            .filter(|pid| !done.contains(pid))
            .collect();
        if new.is_empty() {
            return Walk { ran, quiet: true };
        }
        for pid in new {
            done.insert(pid);
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => crate::log::line("warn", "signal", &format!("{signal} to {pid}: {errno}")),
            }
        }
    }
    Walk { ran, quiet: false }
}

/// Whether a process of our namespace is the lab's: below the agent, or not to be followed up to one that is not. What the agent
/// itself or something outside of the namespace is, is not the lab's.
pub fn is_of_the_lab(pid: i32) -> bool {
    let me = std::process::id() as i32;
    // 0 is how the kernel names a process of a namespace that we do not see
    if pid == 0 || pid == me {
        return false;
    }
    (0..LOOKS_MAX).find_map(|_| above(pid, me)).unwrap_or(true)
}

/// Whether `ancestor` is above `pid`; none when a process on the way ended while it was looked at.
fn above(pid: i32, ancestor: i32) -> Option<bool> {
    let mut at = pid;
    for _ in 0..PARENTS_MAX {
        at = stat(at)?.parent;
        if at == ancestor || at == 0 {
            return Some(at == ancestor);
        }
    }
    Some(true)
}

/// All descendants.
fn all() -> Vec<(i32, Stat)> {
    let mut children: HashMap<i32, Vec<(i32, Stat)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok())
            && let Some(stat) = stat(pid)
        {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![std::process::id() as i32];
    while let Some(pid) = todo.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        todo.extend(below.iter().map(|(pid, _)| *pid));
        found.extend(below);
    }
    found
}

/// `stat` is `pid (name) state ppid …`, and the name may hold spaces and parentheses.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // stopped, stopped by a tracer, dead; one that the kernel holds (D: a parent that waits for a stopped child of vfork) runs nothing,
    // and stops when it is let go
    let runs = !matches!(state, "T" | "t" | "Z" | "X" | "x" | "D");
    Some(Stat { parent, runs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn what_runs_below_or_has_ended_is_of_the_lab_and_nothing_else_is() {
        let me = std::process::id() as i32;
        let above = std::os::unix::process::parent_id() as i32;
        // a shell, and what it started
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
        let below: i32 = line.trim().parse().unwrap();
        let pid = child.id() as i32;
        assert!(is_of_the_lab(pid) && is_of_the_lab(below));
        for other in [0, me, above, 1] {
            assert!(!is_of_the_lab(other), "{other}");
        }
        kill(Pid::from_raw(below), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(is_of_the_lab(pid), "it has ended: nobody knows whose it was");
    }
}
