//! One terminal of a session, as its hub knows it.

use super::{limits::MARKS_MAX, ring::Ring};
use bytes::Bytes;
use lab_core::{TerminalId, WriterId, agent::SnapshotFrame, journal::Seat, terminal::ToBrowser};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// A notice that belongs at a place in the output.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Output offset it follows.
    pub offset: u64,
    /// Journal offset of its record: a snapshot taken later contains it.
    pub journal: u64,
    pub notice: ToBrowser,
}

pub(super) struct Console {
    pub id: TerminalId,
    pub cols: u16,
    pub rows: u16,
    pub exited: Option<i32>,
    pub seat: Option<Seat>,
    /// Seat asked of the agent and not yet in the journal.
    pub asked: Option<Seat>,
    /// Unknown until the first output is seen, or known to be none.
    pub ring: Option<Ring>,
    /// Output bytes when the connection began.
    pub total: u64,
    marks: VecDeque<Mark>,
    first_mark: u64,
    /// Snapshot under way: its request number.
    pub snapshot: Option<u32>,
    /// Others than browsers who wait for it.
    pub screens: Vec<oneshot::Sender<SnapshotFrame>>,
    /// Output limit told to the agent on this connection.
    pub credit: u64,
}

impl Console {
    pub fn new(id: TerminalId) -> Self {
        Self {
            id,
            cols: 80,
            rows: 24,
            exited: None,
            seat: None,
            asked: None,
            ring: None,
            total: 0,
            marks: VecDeque::new(),
            first_mark: 0,
            snapshot: None,
            screens: Vec::new(),
            credit: u64::MAX,
        }
    }

    /// Who may type, once the agent has done what it was asked.
    pub fn holder(&self) -> Option<&Seat> {
        self.asked
            .as_ref()
            .or(self.seat.as_ref())
            .filter(|s| !s.writer.is_empty())
    }

    /// Writer of [`Console::holder`].
    pub fn writer(&self) -> Option<WriterId> {
        self.holder()?.writer.parse().ok()
    }

    /// Output seen so far.
    pub fn end(&self) -> u64 {
        self.ring.as_ref().map_or(0, Ring::end)
    }

    /// Adds output from `offset`; what is known already is left out. True when bytes before it were missed.
    pub fn output(&mut self, offset: u64, bytes: &Bytes) -> bool {
        let ring = self.ring.get_or_insert_with(|| Ring::at(offset));
        let end = offset + bytes.len() as u64;
        if end <= ring.end() {
            return false;
        }
        let missed = offset > ring.end();
        if missed {
            *ring = Ring::at(offset);
        }
        ring.push(bytes.slice((ring.end() - offset) as usize..));
        missed
    }

    /// Adds an in-order notice; one that is known already (the journal is read again after a reconnect) is left out.
    pub fn mark(&mut self, mark: Mark) {
        if self.marks.back().is_some_and(|last| mark.journal <= last.journal) {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            self.marks.pop_front();
            self.first_mark += 1;
        }
        self.marks.push_back(mark);
    }

    /// The notice with this number, or the oldest after it, with its number.
    pub fn mark_at(&self, number: u64) -> Option<(u64, &Mark)> {
        let number = number.max(self.first_mark);
        self.marks.get((number - self.first_mark) as usize).map(|m| (number, m))
    }

    /// Number of the first notice that a reader at output `offset` has not seen.
    pub fn marks_from_output(&self, offset: u64) -> u64 {
        self.first_mark + self.marks.partition_point(|m| m.offset < offset) as u64
    }

    /// Number of the first notice that a snapshot taken at `journal` does not contain.
    pub fn marks_from_journal(&self, journal: u64) -> u64 {
        self.first_mark + self.marks.partition_point(|m| m.journal < journal) as u64
    }
}
