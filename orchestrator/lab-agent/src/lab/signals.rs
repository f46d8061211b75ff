//! Signals that end the lab, and whose are obeyed: of whoever runs the sandbox, and of nothing in it.
//!
//! A lab without namespaces of its own shares the agent's: its programs have the agent's user and may signal it. A sandbox that is
//! taken away is asked by a signal, and bills nothing; a learner who could ask the same would have a free lab.

use super::descendants::is_of_the_lab;
use crate::{log, sys};
use nix::{
    libc::{SI_KERNEL, SI_USER},
    sys::{
        signal::Signal,
        signalfd::{SignalFd, siginfo},
    },
};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::io::{Interest, unix::AsyncFd};

/// What is not obeyed is told this often at most: a loop of `kill` would fill the log.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The signals that ask for the end. Their default action is gone once this exists, so it is made before anything else.
pub struct Waiting(SignalFd);

impl Waiting {
    /// See [`sys::signals`].
    pub fn new() -> io::Result<Self> {
        sys::signals(&[Signal::SIGTERM, Signal::SIGINT]).map(Self)
    }

    /// To be read in the event loop.
    pub fn read(self) -> io::Result<Signals> {
        Ok(Signals {
            fd: sys::polled_signals(self.0)?,
            told_at: None,
        })
    }
}

/// See the module's doc.
pub struct Signals {
    fd: AsyncFd<SignalFd>,
    told_at: Option<Instant>,
}

impl Signals {
    /// Waits for a signal that is to be obeyed; the reason to stop for it. Cancel-safe.
    pub async fn obeyed(&mut self) -> io::Result<&'static str> {
        loop {
            let next = |fd: &SignalFd| fd.read_signal()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            let info = self.fd.async_io(Interest::READABLE, next).await?;
            let reason = reason(&info);
            if is_from_outside(info.ssi_code, info.ssi_pid, std::process::id(), is_stranger) {
                return Ok(reason);
            }
            if self.told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                self.told_at = Some(Instant::now());
                log::line("warn", "not-obeyed", &format!("{reason} of process {}", info.ssi_pid));
            }
        }
    }
}

fn reason(info: &siginfo) -> &'static str {
    if info.ssi_signo == Signal::SIGINT as u32 {
        "sigint"
    } else {
        "sigterm"
    }
}

/// By what the kernel says of a signal. A sender outside the agent's PID namespace has no number in it.
fn is_from_outside(code: i32, sender: u32, own: u32, is_stranger: impl FnOnce(u32) -> bool) -> bool {
    match (code, sender) {
        // a Ctrl-C at the terminal that the agent itself was started from
        (SI_KERNEL, _) | (SI_USER, 0) => true,
        // everything that process 1 could see is below it, or was put there by an engine, which signals from outside
        (SI_USER, _) if own == 1 => false,
        // no namespace of its own (the process runtime): the orchestrator is in sight too
        (SI_USER, sender) => is_stranger(sender),
        // sigqueue and its like: there the sender writes its number itself
        _ => false,
    }
}

/// Whether a process that is here is neither the agent nor below it. Of one that is gone nobody knows.
fn is_stranger(pid: u32) -> bool {
    pid != std::process::id() && i32::try_from(pid).is_ok_and(|pid| !is_of_the_lab(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc::{SI_QUEUE, SI_TKILL};

    #[test]
    fn only_who_is_outside_the_sandbox_is_obeyed() {
        let (stranger, below) = (|_| true, |_| false);
        let cases = [
            (
                "an engine, from outside the namespace",
                is_from_outside(SI_USER, 0, 1, below),
                true,
            ),
            ("the kernel", is_from_outside(SI_KERNEL, 0, 1, below), true),
            ("beside process 1", is_from_outside(SI_USER, 7, 1, stranger), false),
            (
                "the orchestrator of the process runtime",
                is_from_outside(SI_USER, 7, 5, stranger),
                true,
            ),
            (
                "a console of the process runtime",
                is_from_outside(SI_USER, 7, 5, below),
                false,
            ),
            (
                "who writes 0 for its number",
                is_from_outside(SI_QUEUE, 0, 1, stranger),
                false,
            ),
            ("a thread", is_from_outside(SI_TKILL, 0, 5, stranger), false),
            (
                "a descriptor that was made to signal",
                is_from_outside(1, 0, 5, stranger),
                false,
            ),
        ];
        for (who, obeyed, expected) in cases {
            assert_eq!(obeyed, expected, "{who}");
        }
    }

    #[test]
    fn who_started_us_is_a_stranger_and_who_we_started_or_is_gone_is_not() {
        assert!(is_stranger(std::os::unix::process::parent_id()));
        assert!(!is_stranger(std::process::id()));
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        assert!(!is_stranger(child.id()));
        child.kill().unwrap();
        assert!(!is_stranger(child.id()), "one that ended and was not collected");
        child.wait().unwrap();
        assert!(!is_stranger(child.id()));
    }
}
