//! A machine's serial line: a Unix socket that QEMU listens on, held for as long as the machine is on.
//!
//! It is taken here once, whoever looks at it: viewers, replicas and whole orchestrators come and go without the machine
//! noticing. The machine may wait for us before it does anything (QEMU's `wait=on`), which is how the first byte of its
//! boot gets into the journal.

use crate::{args::RunOptions, lab::rebase, sys};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};
use tokio::{io::unix::AsyncFd, net::UnixStream, time::sleep};

/// Between two looks for a line that is not there yet: of no account beside a boot of seconds, and of no cost.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The line at `socket`, as soon as it is there: `start` makes it, and a machine that was switched off makes it anew.
pub async fn taken(options: &RunOptions, socket: &str) -> AsyncFd<OwnedFd> {
    let path = rebase(socket, options.root.as_deref());
    loop {
        if let Ok(line) = take(&path).await {
            return line;
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn take(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let line = OwnedFd::from(UnixStream::connect(path).await?.into_std()?);
    sys::nonblocking(line.as_fd())?;
    sys::polled_for_writing(line)
}
