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

/// Sends `signal` to all descendants, until a pass finds none that is new.
pub fn signal_all(signal: Signal) {
    let mut done = HashSet::new();
    for _ in 0..PASSES_MAX {
        let new: Vec<i32> = all().into_iter().filter(|pid| !done.contains(pid)).collect();
        if new.is_empty() {
            return;
        }
        for pid in new {
            done.insert(pid);
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => crate::log::line("warn", "signal", &format!("{signal} to {pid}: {errno}")),
            }
        }
    }
}

/// Process ids of all descendants.
fn all() -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok())
            && let Some(parent) = parent(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![std::process::id() as i32];
    while let Some(pid) = todo.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        todo.extend(below);
    }
    found
}

/// `stat` is `pid (name) state ppid …`, and the name may hold spaces and parentheses.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
