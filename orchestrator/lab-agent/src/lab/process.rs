//! Commands of the lab file: started in a session of their own, watched, killed whole when they take too long.

use super::files;
use crate::{agent::Agent, args::RunOptions, sys};
use lab_core::limits::CHECK_DETAIL_BYTES_MAX;
use nix::{sys::signal::Signal, unistd::Pid};
use std::{
    io::{self, PipeReader},
    os::fd::{AsFd, OwnedFd},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe};

/// How long output is awaited after a command's end: something it left behind may hold the pipe open.
const LINGER: Duration = Duration::from_millis(100);
/// A line of output that is longer is told in pieces.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// A command that runs.
pub struct Started {
    pid: Pid,
    output: pipe::Receiver,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// 0-255, or minus the signal that killed it.
    pub status: i32,
    pub timed_out: bool,
    /// The end of what it printed, at most [`CHECK_DETAIL_BYTES_MAX`] bytes.
    pub tail: String,
}

/// Who wants to see output while the command runs.
pub enum Lines<'a> {
    Nobody,
    Each(&'a dyn Fn(&str)),
}

/// The command with the lab's environment, in `/`.
pub fn command(options: &RunOptions, env: &[(String, String)], argv: &[String]) -> io::Result<Command> {
    let root = options.root.as_deref();
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut command = Command::new(files::rebase(program, root));
    command
        .args(arguments.iter().map(|a| files::rebase(a, root)))
        .current_dir("/");
    command
        .env("TERM", "xterm-256color")
        .envs(env.iter().map(|(k, v)| (k, v)));
    if let Some(root) = root {
        command.env("LAB_ROOT", root);
    }
    Ok(command)
}

/// Starts a command whose stdout and stderr come together.
pub fn start(agent: &Agent, argv: &[String]) -> io::Result<Started> {
    let (reader, writer) = io::pipe()?;
    let mut command = command(&agent.options, &agent.spec.env, argv)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    sys::lead_session(&mut command, false);
    let child = command.spawn()?;
    let pid = Pid::from_raw(child.id() as i32);
    agent.remember_group(pid, Signal::SIGTERM);
    Ok(Started {
        pid,
        output: receiver(reader)?,
    })
}

fn receiver(reader: PipeReader) -> io::Result<pipe::Receiver> {
    sys::nonblocking(reader.as_fd())?;
    pipe::Receiver::from_owned_fd(OwnedFd::from(reader))
}

/// Watches a command until it ends.
pub async fn watch(agent: &Agent, started: Started, lines: Lines<'_>) -> Ended {
    let Started { pid, output } = started;
    let exit = agent.reaper.exit(pid);
    tokio::pin!(exit);
    let mut tail = Tail::default();
    let status = {
        let copy = copy(output, &mut tail, &lines);
        tokio::pin!(copy);
        tokio::select! {
            status = &mut exit => {
                // why the result is dropped: output of what was left behind is not the command's
                let _ = tokio::time::timeout(LINGER, copy).await;
                status
            }
            () = &mut copy => exit.await,
        }
    };
    agent.forget_group(pid);
    Ended {
        status,
        timed_out: false,
        tail: tail.text(),
    }
}

/// Runs a command for at most `within`; then its whole group is killed.
pub async fn run(agent: &Agent, argv: &[String], within: Duration) -> Ended {
    let started = match start(agent, argv) {
        Ok(started) => started,
        Err(error) => {
            return Ended {
                status: 127,
                timed_out: false,
                tail: format!("cannot start {argv:?}: {error}"),
            };
        }
    };
    let pid = started.pid;
    let watched = watch(agent, started, Lines::Nobody);
    tokio::pin!(watched);
    if let Ok(ended) = tokio::time::timeout(within, &mut watched).await {
        return ended;
    }
    sys::signal_group(pid, Signal::SIGKILL);
    Ended {
        timed_out: true,
        ..watched.await
    }
}

async fn copy(mut output: pipe::Receiver, tail: &mut Tail, lines: &Lines<'_>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut line = Vec::new();
    while let Ok(n) = output.read(&mut buffer).await
        && n > 0
    {
        tail.push(&buffer[..n]);
        let Lines::Each(tell) = lines else { continue };
        for byte in &buffer[..n] {
            if *byte == b'\n' || line.len() == LINE_BYTES_MAX {
                tell(&String::from_utf8_lossy(&line));
                line.clear();
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }
}

/// The last bytes of an output.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let surplus = self.bytes.len().saturating_sub(CHECK_DETAIL_BYTES_MAX);
        self.bytes.drain(..surplus);
    }

    /// As text; a character cut at the start and bytes that are none become U+FFFD, within the same limit.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let surplus = text.len().saturating_sub(CHECK_DETAIL_BYTES_MAX);
        text[text.ceil_char_boundary(surplus)..].to_owned()
    }
}
