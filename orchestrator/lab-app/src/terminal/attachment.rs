//! One browser tab at a hub: its queue, and where it is in each terminal it shows.

use super::{
    api::{FromHub, Viewer},
    help::Help,
    limits::NOTICES_WAITING_MAX,
};
use lab_core::{TerminalIndex, terminal::Window};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;

/// A tab's number in its hub; grows, so the newest is the largest.
pub(super) type AttachmentId = u64;

/// Where a tab is in one terminal.
///
/// ```text
///  Placing ──┬─ bytes from `from` are here ─────────► Streaming ◄──┐
///            └─ gone, or never asked ──► Snapshot ──────┘  │       │ drawn, and the rest fits
///                                           ▲              ▼       │
///                                           └─ drawn ── Lagging ───┘   (viewers only)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The agent has not told yet what there is.
    Placing {
        from: Option<u64>,
    },
    /// Waits for a snapshot from the agent.
    Snapshot,
    Streaming,
    /// More is unsent than this tab draws in a window: nothing more is sent before it has drawn what it has.
    Lagging,
}

#[derive(Debug)]
pub(super) struct View {
    pub phase: Phase,
    /// Output below this was sent.
    pub sent: u64,
    /// Number of the next in-order notice.
    pub mark: u64,
    pub window: Window,
    /// Asked for the seat when it attached.
    pub wants_seat: bool,
    pub cols: u16,
    pub rows: u16,
}

impl View {
    /// Bytes that may be under way.
    pub fn window_bytes(&self) -> u64 {
        self.window.limit() - self.window.drawn_offset()
    }
}

pub(super) struct Attachment {
    pub viewer: Viewer,
    /// Name among the session's viewers on this connection to the agent; the learner has none.
    pub key: Option<String>,
    pub views: BTreeMap<TerminalIndex, View>,
    pub help: Help,
    queue: mpsc::Sender<FromHub>,
    /// Notices for which the queue had no room, in order.
    waiting: VecDeque<FromHub>,
    /// Someone waits for room already.
    pub waits_for_room: bool,
    /// When it was told last that the lab stands still, by the monotonic clock.
    pub told_still_us: Option<u64>,
}

/// The tab takes too little to be served.
pub(super) struct Overflow;

impl Attachment {
    pub fn new(viewer: Viewer, queue: mpsc::Sender<FromHub>) -> Self {
        Self {
            viewer,
            key: None,
            views: BTreeMap::new(),
            help: Help::default(),
            queue,
            waiting: VecDeque::new(),
            waits_for_room: false,
            told_still_us: None,
        }
    }

    /// Sends a notice, now or as soon as there is room.
    pub fn notify(&mut self, message: FromHub) -> Result<(), Overflow> {
        if !self.waiting.is_empty() || self.queue.capacity() == 0 {
            if self.waiting.len() >= NOTICES_WAITING_MAX {
                return Err(Overflow);
            }
            self.waiting.push_back(message);
            return Ok(());
        }
        // a closed queue is noticed by whoever reads the tab's other direction
        let _ = self.queue.try_send(message);
        Ok(())
    }

    /// A place for output, when no notice waits before it.
    pub fn room(&mut self) -> Option<mpsc::Permit<'_, FromHub>> {
        self.flush();
        if self.waiting.is_empty() {
            self.queue.try_reserve().ok()
        } else {
            None
        }
    }

    /// Sends waiting notices as far as there is room.
    pub fn flush(&mut self) {
        while let Ok(permit) = self.queue.try_reserve() {
            match self.waiting.pop_front() {
                Some(message) => permit.send(message),
                None => return,
            }
        }
    }

    /// Something waits for room in the queue, which is still read by someone.
    pub fn is_stuck(&self) -> bool {
        (self.queue.capacity() == 0 || !self.waiting.is_empty()) && !self.queue.is_closed()
    }

    pub fn queue(&self) -> mpsc::Sender<FromHub> {
        self.queue.clone()
    }

    /// Says why, if there is room to; the queue's end says it otherwise.
    pub fn close(&mut self, code: u16, reason: &'static str) {
        self.flush();
        let _ = self.queue.try_send(FromHub::Close { code, reason });
    }
}
