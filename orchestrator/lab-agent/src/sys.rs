//! Every call that the compiler cannot check: what a child does between fork and exec, three ioctls, and one registration.
//!
//! A child shares nothing but memory as it was at the fork, so only async-signal-safe calls are made there: `setsid`, `ioctl`,
//! `sigprocmask` and `setrlimit`. Everything that allocates (arguments, environment, file descriptors) is ready before.

use nix::{
    libc,
    pty::Winsize,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        termios::{self, InputFlags, SetArg},
    },
    unistd::Pid,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};
use tokio::io::{Interest, unix::AsyncFd};

/// A terminal's two ends. The slave goes to the program and is closed here.
pub struct Pty {
    /// Non-blocking, closed in children.
    pub master: OwnedFd,
    slave: OwnedFd,
}

/// Opens a terminal of this size.
pub fn open_pty(cols: u16, rows: u16) -> io::Result<Pty> {
    let pair = nix::pty::openpty(&winsize(cols, rows), None)?;
    for fd in [&pair.master, &pair.slave] {
        set_flags(fd.as_fd())?;
    }
    let mut modes = termios::tcgetattr(&pair.slave)?;
    // the kernel's own line editing must know that é is one character
    modes.input_flags.insert(InputFlags::IUTF8);
    termios::tcsetattr(&pair.slave, SetArg::TCSANOW, &modes)?;
    nonblocking(pair.master.as_fd())?;
    Ok(Pty {
        master: pair.master,
        slave: pair.slave,
    })
}

fn winsize(cols: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn set_flags(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Makes reads and writes return instead of wait.
pub fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A descriptor that tasks can wait for.
pub fn polled(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE | Interest::WRITABLE)
}

/// A terminal's end that tasks only write to. Its output is no event then: the kernel would wake these tasks for each 4 KiB of a flood that somebody
/// else reads, and wait within `epoll_wait` until it has moved the next, which costs them a third of a processor.
pub fn polled_for_writing(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::WRITABLE)
}

/// `fd` owns its descriptor: an [`OwnedFd`], or what is made of one and never changes it.
fn register<T: AsRawFd>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(
        unsafe_code,
        reason = "an OwnedFd names the same open descriptor for as long as the AsyncFd owns it"
    )]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(io::Error::from)
}

/// Takes these signals from their handlers: from here on they are read, with who sent them. Before any thread is started, since
/// threads inherit what is blocked; children get an empty mask ([`lead_session`]).
pub fn signals(of: &[Signal]) -> io::Result<SignalFd> {
    let set: SigSet = of.iter().copied().collect();
    set.thread_block()?;
    Ok(SignalFd::with_flags(
        &set,
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )?)
}

/// As [`polled`].
pub fn polled_signals(signals: SignalFd) -> io::Result<AsyncFd<SignalFd>> {
    register(signals, Interest::READABLE)
}

impl Pty {
    /// Starts `command` as the leader of a session whose controlling terminal this is. Returns its process id and the
    /// master's end.
    pub fn spawn(self, mut command: Command) -> io::Result<(Pid, OwnedFd)> {
        command.stdin(Stdio::from(self.slave.try_clone()?));
        command.stdout(Stdio::from(self.slave.try_clone()?));
        command.stderr(Stdio::from(self.slave));
        lead_session(&mut command, true);
        let child = command.spawn()?;
        Ok((Pid::from_raw(child.id() as i32), self.master))
    }
}

/// Makes the child the leader of its own session, so that one signal reaches everything it starts; with `terminal`, its
/// stdin becomes the controlling terminal. It blocks no signal, and may fill half of what its user may have pending: a user
/// whose queue is full is sent signals without their sender, and the agent, of the same user, must know it
/// ([`crate::lab::signals`]).
pub fn lead_session(command: &mut Command, terminal: bool) {
    let in_child = move || {
        nix::unistd::setsid()?;
        if terminal {
            take_terminal()?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        let (pending, _) = getrlimit(Resource::RLIMIT_SIGPENDING)?;
        setrlimit(Resource::RLIMIT_SIGPENDING, pending / 2, pending / 2)?;
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "runs between fork and exec; calls setsid, ioctl, sigprocmask, getrlimit and setrlimit only, which are system calls"
    )]
    unsafe {
        command.pre_exec(in_child);
    }
}

fn take_terminal() -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "TIOCSCTTY takes an integer; file descriptor 0 is the slave's end"
    )]
    let done = unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) };
    if done == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Bytes that a read would find now. This does not wait, where a read of a terminal that finds nothing waits for the kernel's worker, even when it is
/// not to block.
pub fn unread(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "FIONREAD writes one int, which lives until the call returns")]
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD as _, &raw mut bytes) };
    if done == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(usize::try_from(bytes).unwrap_or_default())
    }
}

/// Tells the terminal its size; its foreground program gets SIGWINCH when it changed.
pub fn set_size(master: BorrowedFd<'_>, cols: u16, rows: u16) -> io::Result<()> {
    let size = winsize(cols, rows);
    #[expect(
        unsafe_code,
        reason = "TIOCSWINSZ reads one winsize, which lives until the call returns"
    )]
    let done = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
    if done == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Signals a process group; one that is gone is what was wanted.
pub fn signal_group(leader: Pid, signal: Signal) {
    if let Err(errno) = killpg(leader, signal)
        && errno != nix::errno::Errno::ESRCH
    {
        crate::log::line("warn", "signal", &format!("{signal} to group {leader}: {errno}"));
    }
}
