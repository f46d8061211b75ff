//! From the agent's frames to records, and to whole-record bytes for the recorder.

use super::limits::TAKEN_STEP_BYTES;
use bytes::Bytes;
use lab_core::journal::{Decoder, JournalError, Record};
use std::collections::VecDeque;

/// Where the hub is in the journal.
#[derive(Debug, Default)]
pub(super) struct JournalReader {
    decoder: Option<Decoder>,
    /// Bytes as they came, after the last whole record that was handed on.
    raw: VecDeque<Bytes>,
    raw_start: u64,
    /// How far the agent was told that its bytes were taken, over this connection.
    told: Option<u64>,
    /// Everything below was seen before this connection, or is history: only screens care for it.
    pub live: u64,
    /// The journal's end when the connection began: the welcome's state contains everything below.
    pub welcomed: u64,
    /// Lab events below were taken.
    pub lab_seen: u64,
    /// A first connection has caught up: screens can be placed.
    pub refilled: bool,
    ended: Option<u64>,
    /// Where the last corruption was, to tell a bad line from a bad journal.
    pub corrupt_at: Option<u64>,
    /// The next connection leaves out everything up to the journal's end: it is corrupt.
    pub skip: bool,
    /// The agent's start that is read.
    pub boot: Option<String>,
}

impl JournalReader {
    /// A new connection: the first frame says where it starts.
    pub fn reset(&mut self) {
        self.decoder = None;
        self.raw.clear();
        self.told = None;
    }

    /// Whether the agent is to be told that everything below `end` was taken: after the first bytes of a connection, and then after every
    /// [`TAKEN_STEP_BYTES`].
    pub fn taken_is_news(&mut self, end: u64) -> bool {
        let is_news = self
            .told
            .is_none_or(|told| end.saturating_sub(told) >= TAKEN_STEP_BYTES);
        if is_news {
            self.told = Some(end);
        }
        is_news
    }

    /// Offset after the last whole record, 0 before the first.
    pub fn offset(&self) -> u64 {
        self.decoder.as_ref().map_or(self.raw_start, Decoder::offset)
    }

    /// Offset after the journal's last record, once it was seen.
    pub fn ended(&self) -> Option<u64> {
        self.ended
    }

    /// The last record was just read.
    pub fn set_ended(&mut self) {
        self.ended = Some(self.offset());
    }

    /// Takes a frame. False: it goes back to what was sent before, which the protocol does not allow.
    pub fn push(&mut self, offset: u64, bytes: Bytes) -> bool {
        match &self.decoder {
            Some(d) if d.end() == offset => {}
            Some(d) if d.end() > offset => return false,
            // the first frame, or a jump over what the agent keeps no more: a record starts here
            _ => {
                self.decoder = Some(Decoder::new(offset));
                self.raw.clear();
                self.raw_start = offset;
            }
        }
        if let Some(d) = &mut self.decoder {
            d.push(&bytes);
            self.raw.push_back(bytes);
        }
        true
    }

    /// The next whole record and the offset it starts at.
    pub fn next_record(&mut self) -> Result<Option<(u64, Record)>, JournalError> {
        let Some(d) = &mut self.decoder else { return Ok(None) };
        let at = d.offset();
        let record = d.next_record()?;
        if record.is_none() && d.offset() == d.end() {
            // nothing is kept between frames: an idle session costs no buffer
            *d = Decoder::new(d.offset());
        }
        Ok(record.map(|r| (at, r)))
    }

    /// Bytes of whole records that were read and not handed on, as one, with their offset. One piece, because what is handed
    /// on must begin and end at records; copied only when a record lies across two frames.
    pub fn whole(&mut self) -> Option<(u64, Bytes)> {
        let (start, until) = (self.raw_start, self.offset());
        let mut pieces = Vec::new();
        while self.raw_start < until {
            let Some(mut first) = self.raw.pop_front() else { break };
            let take = (until - self.raw_start).min(first.len() as u64);
            let rest = first.split_off(take as usize);
            if !rest.is_empty() {
                self.raw.push_front(rest);
            }
            self.raw_start += take;
            pieces.push(first);
        }
        match pieces.len() {
            0 => None,
            1 => pieces.pop().map(|only| (start, only)),
            _ => Some((start, Bytes::from(pieces.concat()))),
        }
    }
}
