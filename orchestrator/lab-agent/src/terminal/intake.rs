//! A terminal's output, read by a thread of its own.
//!
//! The kernel hands a terminal's output over in pieces of 4 KiB, and fills the next one when the last was taken. Whoever takes them between
//! other work keeps the kernel waiting for each, and the program with it; so a thread does nothing else, and the pump takes what has
//! gathered.
//!
//! ```text
//!  master ──read──► gathered ──take──► pump      the pump is told of the first byte while it is eager, and of JOIN_BYTES in any case
//!     ▲                 │
//!     └───── room ◄─────┘                        none: the thread waits, the kernel's buffer fills, and the program waits
//! ```

use crate::sys;
use bytes::BytesMut;
use lab_core::limits::RECORD_PAYLOAD_MAX;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};
use tokio::sync::Notify;

/// Gathered output of which the pump is told, though it asked for none: as much as a record has.
const JOIN_BYTES: usize = RECORD_PAYLOAD_MAX;
/// A terminal gives no more at once, whatever is asked for (the line discipline's own buffer).
const READ_BYTES: usize = 4096;
/// A read of so much is of a flood: the next piece is there before a thread that sleeps is woken.
const FLOOD_BYTES: usize = READ_BYTES / 2;
/// Looks for the next piece of a flood before the thread sleeps; the processor is given to others between two. A look that finds nothing is 1 µs, a
/// sleep of the thread some 20 µs (the kernel, another processor woken, and back) for each 4 KiB, which are 50 µs of a flood of 80 MB/s.
const GIVE_WAY_MAX: u32 = 20;
/// The thread's stack: a piece, and the standard library's frames.
const STACK_BYTES: usize = 64 * 1024;

/// See the module's doc. Dropped, it waits for its thread, which stops at once.
pub struct Intake {
    shared: Arc<Shared>,
    /// Closed, it wakes a thread that waits for output.
    here: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    room: Condvar,
    news: Notify,
}

#[derive(Default)]
struct State {
    gathered: BytesMut,
    /// `gathered` may grow to this.
    most: usize,
    /// The pump is to be told of the next byte.
    eager: bool,
    /// There is no more, ever.
    ended: bool,
    stopped: bool,
}

impl State {
    fn has_room(&self) -> bool {
        self.gathered.len() < self.most
    }

    /// The pump is told, though it asked for nothing.
    fn is_much(&self) -> bool {
        self.gathered.len() >= self.most.min(JOIN_BYTES)
    }
}

impl Intake {
    /// Reads from this terminal's end, which does not block; nothing before [`Intake::allow`].
    pub fn start(master: BorrowedFd<'_>) -> io::Result<Self> {
        let master = master.try_clone_to_owned()?;
        let (gone, here) = unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let shared = Arc::new(Shared::default());
        shared.state().eager = true;
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("terminal".into())
            .stack_size(STACK_BYTES)
            .spawn(move || gather(&its, &master, &gone))?;
        Ok(Self {
            shared,
            here: Some(here),
            thread: Some(thread),
        })
    }

    /// So many bytes may have gathered at most. Where that is less than before, one piece more may come.
    pub fn allow(&self, most: usize) {
        let mut state = self.shared.state();
        let had_room = state.has_room();
        state.most = most;
        if !had_room && state.has_room() {
            self.shared.room.notify_one();
        }
    }

    /// What has gathered; it is not allowed twice. With `settle`, and when there is nothing, the next byte is told at once.
    pub fn take(&self, settle: bool) -> BytesMut {
        let mut state = self.shared.state();
        // a flood's next piece is as long as this one: it is not to be copied five times on its way there
        let room = if state.is_much() { JOIN_BYTES + READ_BYTES } else { 0 };
        let bytes = std::mem::replace(&mut state.gathered, BytesMut::with_capacity(room));
        state.most = state.most.saturating_sub(bytes.len());
        state.eager |= settle && bytes.is_empty();
        bytes
    }

    /// What has gathered is told now, or the next byte is.
    pub fn be_eager(&self) {
        let mut state = self.shared.state();
        state.eager = state.gathered.is_empty();
        if !state.eager {
            self.shared.news.notify_one();
        }
    }

    /// Whether there will be no more than what has gathered.
    pub fn has_ended(&self) -> bool {
        self.shared.state().ended
    }

    /// Waits until there is something to take, or the end. May be told too often.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.room.notify_one();
        self.here = None;
        if let Some(thread) = self.thread.take() {
            // why the result is dropped: a thread that panicked has said so, and reads no more
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Waits for room; none when it is to stop.
    fn room(&self) -> Option<usize> {
        let waits = |state: &mut State| !state.stopped && !state.has_room();
        let state = self.room.wait_while(self.state(), waits).expect("no holder panics");
        (!state.stopped).then(|| state.most - state.gathered.len())
    }

    fn put(&self, piece: &[u8]) {
        let mut state = self.state();
        let was_much = state.is_much();
        state.gathered.extend_from_slice(piece);
        let is_much = state.is_much() && !was_much;
        if std::mem::take(&mut state.eager) || is_much {
            self.news.notify_one();
        }
    }

    fn end(&self) {
        self.state().ended = true;
        self.news.notify_one();
    }
}

/// Reads until there is no more, or nobody who takes it.
fn gather(shared: &Shared, master: &OwnedFd, gone: &OwnedFd) {
    let mut piece = [0; READ_BYTES];
    let mut given_way = GIVE_WAY_MAX;
    while let Some(room) = shared.room() {
        // asked, not read: a read that finds nothing sleeps until the kernel's worker, which fills the next piece, has run
        if given_way < GIVE_WAY_MAX && sys::unread(master.as_fd()).is_ok_and(|bytes| bytes == 0) {
            given_way += 1;
            std::thread::yield_now();
            continue;
        }
        let most = room.min(READ_BYTES);
        match unistd::read(master, &mut piece[..most]) {
            Ok(0) => return shared.end(),
            Ok(n) => {
                shared.put(&piece[..n]);
                given_way = if n >= FLOOD_BYTES { 0 } else { given_way };
            }
            Err(Errno::EAGAIN) => wait(master, gone),
            Err(Errno::EINTR) => {}
            Err(_) => return shared.end(),
        }
    }
}

/// Waits until there is output, or nobody to take it.
fn wait(master: &OwnedFd, gone: &OwnedFd) {
    let mut fds = [
        PollFd::new(master.as_fd(), PollFlags::POLLIN),
        PollFd::new(gone.as_fd(), PollFlags::empty()),
    ];
    // why the result is dropped: whatever it was, the next read says what is so
    let _ = poll(&mut fds, PollTimeout::NONE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::net::UnixStream, time::Duration};
    use tokio::time::timeout;

    /// A line and its reader.
    fn line() -> (UnixStream, Intake) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Intake::start(theirs.as_fd()).unwrap())
    }

    /// Everything that is told, until there are `len` bytes.
    async fn taken(intake: &Intake, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let whole = async {
            while all.len() < len {
                intake.news().await;
                all.extend_from_slice(&intake.take(true));
            }
        };
        timeout(Duration::from_secs(10), whole).await.expect("it is told");
        all
    }

    #[tokio::test]
    async fn the_first_byte_after_silence_is_told_at_once_and_what_follows_is_gathered() {
        let (mut line, intake) = line();
        intake.allow(1 << 20);
        line.write_all(b"first").unwrap();
        assert_eq!(taken(&intake, 5).await, b"first");
        // nobody said that it was quiet since
        line.write_all(&vec![b'x'; JOIN_BYTES - 1]).unwrap();
        assert!(
            timeout(Duration::from_millis(50), intake.news()).await.is_err(),
            "it gathers"
        );
        line.write_all(b"y").unwrap();
        assert_eq!(taken(&intake, JOIN_BYTES).await.len(), JOIN_BYTES);
        assert!(intake.take(true).is_empty(), "now it is quiet");
        line.write_all(b"next").unwrap();
        assert_eq!(taken(&intake, 4).await, b"next");
    }

    #[tokio::test]
    async fn a_key_has_what_gathered_told_at_once() {
        let (mut line, intake) = line();
        intake.allow(1 << 20);
        line.write_all(b"a").unwrap();
        assert_eq!(taken(&intake, 1).await, b"a");
        intake.be_eager();
        line.write_all(b"b").unwrap();
        assert_eq!(taken(&intake, 1).await, b"b");
    }

    #[tokio::test]
    async fn no_more_is_read_than_was_allowed_and_what_was_taken_is_not_allowed_again() {
        let (mut line, intake) = line();
        line.write_all(&[b'x'; 100]).unwrap();
        assert!(
            timeout(Duration::from_millis(50), intake.news()).await.is_err(),
            "nothing was allowed"
        );
        intake.allow(30);
        assert_eq!(taken(&intake, 30).await.len(), 30);
        assert!(timeout(Duration::from_millis(50), intake.news()).await.is_err());
        intake.allow(70);
        assert_eq!(taken(&intake, 70).await.len(), 70);
    }

    #[tokio::test]
    async fn the_end_is_told_after_the_last_byte() {
        let (mut line, intake) = line();
        intake.allow(1 << 20);
        line.write_all(b"last").unwrap();
        drop(line);
        assert_eq!(taken(&intake, 4).await, b"last");
        while !intake.has_ended() {
            timeout(Duration::from_secs(10), intake.news())
                .await
                .expect("the end is told");
        }
        assert!(intake.take(false).is_empty());
    }

    #[tokio::test]
    async fn its_thread_ends_with_it_whatever_it_waits_for() {
        let (_line, waits_for_room) = line();
        drop(waits_for_room);
        let (_line, waits_for_output) = line();
        waits_for_output.allow(1);
        drop(waits_for_output);
    }
}
