//! What one connection is sent next: acknowledgements and answers first, then the journal, as far as its window allows.

use super::ConnectionId;
use crate::journal::Journal;
use bytes::{BufMut, Bytes, BytesMut};
use lab_core::{
    TerminalIndex, WriterId,
    agent::{AgentFrame, FromAgent},
    journal::Join,
    limits::{FOLLOW_WINDOW_BYTES, JOURNAL_FRAME_BYTES},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

/// Answers that wait to be sent. Who asks this much without reading is cut off.
const ANSWERS_MAX: usize = 1024;
/// Writers whose input came through one connection; the oldest is forgotten.
const WRITERS_HEARD_MAX: usize = 256;
/// Kind and offset in front of a journal frame's bytes.
const JOURNAL_HEADER: usize = 9;

/// One connection's outgoing side.
pub struct Outbox {
    pub id: ConnectionId,
    pub wake: Notify,
    /// Next journal byte to send; none before `follow`.
    cursor: Cell<Option<u64>>,
    /// Journal byte up to which the follower has taken what it was sent.
    taken: Cell<u64>,
    answers: RefCell<VecDeque<(u64, Message)>>,
    /// Whose input came through here, and what is to be acknowledged of it.
    writers: RefCell<VecDeque<Writer>>,
    /// Who watches through this connection.
    pub viewers: RefCell<Vec<Join>>,
    /// Too much waits, or the peer broke the protocol: end it once what waits is sent.
    ending: Cell<bool>,
}

struct Writer {
    terminal: TerminalIndex,
    id: WriterId,
    unsent: Option<u64>,
}

impl Outbox {
    pub fn new(id: ConnectionId) -> Self {
        Self {
            id,
            wake: Notify::new(),
            cursor: Cell::new(None),
            taken: Cell::new(0),
            answers: RefCell::default(),
            writers: RefCell::default(),
            viewers: RefCell::default(),
            ending: Cell::new(false),
        }
    }

    /// Sends the journal from here on.
    pub fn follow(&self, from: u64) {
        self.cursor.set(Some(from));
        self.taken.set(from);
        self.wake.notify_one();
    }

    /// The follower took everything below `offset`. More than was sent is as good as all that was.
    pub fn taken(&self, offset: u64) {
        self.taken
            .set(self.taken.get().max(offset).min(self.cursor.get().unwrap_or(0)));
        self.wake.notify_one();
    }

    /// Sends an answer now.
    pub fn say(&self, answer: &FromAgent) {
        self.say_after(0, answer);
    }

    /// Sends an answer once the journal below `after` was sent.
    pub fn say_after(&self, after: u64, answer: &FromAgent) {
        let text = serde_json::to_string(answer).expect("our message types always serialise");
        self.push(after, Message::text(text));
    }

    /// Sends a frame once the journal below `after` was sent.
    pub fn send_after(&self, after: u64, frame: &AgentFrame) {
        self.push(after, Message::binary(frame.encode()));
    }

    fn push(&self, after: u64, message: Message) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() >= ANSWERS_MAX {
            self.ending.set(true);
        } else {
            answers.push_back((after, message));
        }
        self.wake.notify_one();
    }

    /// Nothing more is read; what waits is sent.
    pub fn end(&self) {
        self.ending.set(true);
        self.wake.notify_one();
    }

    /// Whether nothing more is to be read.
    pub fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Input of this writer came through here: its acknowledgements go back here.
    pub fn heard(&self, terminal: TerminalIndex, id: WriterId) {
        let mut writers = self.writers.borrow_mut();
        if writers.iter().any(|w| w.terminal == terminal && w.id == id) {
            return;
        }
        if writers.len() >= WRITERS_HEARD_MAX {
            writers.pop_front();
        }
        writers.push_back(Writer {
            terminal,
            id,
            unsent: None,
        });
    }

    /// Input up to `seq` is in the terminal. Several before the next send become one.
    pub fn acknowledge(&self, terminal: TerminalIndex, id: WriterId, seq: u64) {
        let mut writers = self.writers.borrow_mut();
        if let Some(writer) = writers.iter_mut().find(|w| w.terminal == terminal && w.id == id) {
            writer.unsent = writer.unsent.max(Some(seq));
            self.wake.notify_one();
        }
    }

    /// The next message, if one can be sent now.
    pub fn next(&self, journal: &Journal) -> Option<Message> {
        self.next_ack()
            .or_else(|| self.next_answer())
            .or_else(|| self.next_journal(journal))
    }

    fn next_ack(&self) -> Option<Message> {
        let mut writers = self.writers.borrow_mut();
        let (terminal, writer, seq) = writers
            .iter_mut()
            .find_map(|w| w.unsent.take().map(|seq| (w.terminal, w.id, seq)))?;
        Some(Message::binary(AgentFrame::InputAck { terminal, writer, seq }.encode()))
    }

    fn next_answer(&self) -> Option<Message> {
        let mut answers = self.answers.borrow_mut();
        let sent = self.cursor.get().unwrap_or(u64::MAX);
        let i = answers.iter().position(|(after, _)| *after <= sent)?;
        answers.remove(i).map(|(_, message)| message)
    }

    fn next_journal(&self, journal: &Journal) -> Option<Message> {
        let cursor = self.cursor.get()?;
        let room = FOLLOW_WINDOW_BYTES.saturating_sub(cursor - self.taken.get());
        if cursor >= journal.end() || room == 0 || self.ending.get() {
            return None;
        }
        let max = room.min(JOURNAL_FRAME_BYTES as u64) as usize;
        // an answer that waits for an offset is sent exactly there, so that no later byte overtakes it
        let stop = self
            .answers
            .borrow()
            .iter()
            .map(|(after, _)| after.saturating_sub(cursor))
            .filter(|n| *n > 0)
            .min();
        let max = stop.map_or(max, |n| max.min(n as usize));
        let mut frame = BytesMut::with_capacity(JOURNAL_HEADER + max.min((journal.end() - cursor) as usize));
        frame.put_bytes(0, JOURNAL_HEADER);
        match journal.read(cursor, max, &mut frame) {
            Ok(from) => {
                frame[0] = 1;
                frame[1..JOURNAL_HEADER].copy_from_slice(&from.to_be_bytes());
                // bytes that are no longer kept count as taken: they will never be
                self.taken.set(self.taken.get() + (from - cursor));
                self.cursor.set(Some(from + (frame.len() - JOURNAL_HEADER) as u64));
                Some(Message::binary(Bytes::from(frame)))
            }
            Err(error) => {
                crate::log::line("error", "journal-read", &error);
                self.end();
                None
            }
        }
    }
}
