//! Numbered input: what was typed is applied once, in order, whatever is sent twice, late or from elsewhere.

use bytes::{Buf, Bytes};
use lab_core::{WriterId, limits::WRITERS_MAX};
use std::collections::VecDeque;

/// Typed bytes that wait for a program that does not read: two full pastes and then some. Beyond it input is refused as
/// `busy` and the page keeps it.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// What became of an input message.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// It waits for the terminal to take it; acknowledged then.
    Queued,
    /// It was applied before; the number up to which this writer's input is in the terminal.
    Already(u64),
    /// It does not follow the writer's last number, which is this.
    Hole(u64),
    /// Too much waits already.
    Full,
}

#[derive(Debug)]
struct Writer {
    id: WriterId,
    /// Last number accepted.
    accepted: u64,
    /// Last number whose bytes are in the terminal.
    applied: u64,
}

#[derive(Debug)]
struct Waiting {
    writer: WriterId,
    seq: u64,
    bytes: Bytes,
}

/// The input of one terminal.
#[derive(Debug, Default)]
pub struct Keys {
    /// Least recently heard first.
    writers: Vec<Writer>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl Keys {
    /// Takes message `seq` of `writer`.
    pub fn push(&mut self, writer: WriterId, seq: u64, bytes: Bytes) -> Typed {
        let known = self.writers.iter().position(|w| w.id == writer);
        let (accepted, applied) = known.map_or((0, 0), |i| (self.writers[i].accepted, self.writers[i].applied));
        if seq <= accepted {
            return Typed::Already(applied);
        }
        if seq != accepted + 1 {
            return Typed::Hole(accepted);
        }
        if self.waiting_bytes + bytes.len() > WAITING_BYTES_MAX {
            return Typed::Full;
        }
        let mut entry = known.map_or(
            Writer {
                id: writer,
                accepted,
                applied,
            },
            |i| self.writers.remove(i),
        );
        entry.accepted = seq;
        if self.writers.len() == WRITERS_MAX {
            self.forget_one();
        }
        self.writers.push(entry);
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(Waiting { writer, seq, bytes });
        Typed::Queued
    }

    /// Whether this message was accepted before.
    pub fn knows(&self, writer: WriterId, seq: u64) -> bool {
        self.writers.iter().any(|w| w.id == writer && seq <= w.accepted)
    }

    /// Forgets the writer that was heard of longest ago and has nothing under way.
    fn forget_one(&mut self) {
        let idle = self.writers.iter().position(|w| w.accepted == w.applied).unwrap_or(0);
        self.writers.remove(idle);
    }

    /// Bytes to write next.
    pub fn front(&self) -> Option<Bytes> {
        self.waiting.front().map(|w| w.bytes.clone())
    }

    /// The terminal took `n` bytes of the front; the writer and number that this completes, if it does.
    pub fn wrote(&mut self, n: usize) -> Option<(WriterId, u64)> {
        let front = self.waiting.front_mut()?;
        front.bytes.advance(n);
        self.waiting_bytes -= n;
        if !front.bytes.is_empty() {
            return None;
        }
        let done = self.waiting.pop_front()?;
        if let Some(writer) = self.writers.iter_mut().find(|w| w.id == done.writer) {
            writer.applied = done.seq;
        }
        Some((done.writer, done.seq))
    }

    /// The program is gone, and with it what was typed to it: acknowledged as applied, or it would be sent again for ever.
    pub fn drop_waiting(&mut self) -> Vec<(WriterId, u64)> {
        let mut dropped = Vec::new();
        while let Some(front) = self.waiting.front() {
            let n = front.bytes.len();
            dropped.extend(self.wrote(n));
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(keys: &mut Keys, into: &mut Vec<u8>) {
        while let Some(bytes) = keys.front() {
            into.extend_from_slice(&bytes[..1.min(bytes.len())]);
            keys.wrote(1.min(bytes.len()));
        }
    }

    #[test]
    fn a_hole_is_refused_and_a_repeat_is_acknowledged() {
        let mut keys = Keys::default();
        assert_eq!(keys.push(7, 2, "b".into()), Typed::Hole(0));
        assert_eq!(keys.push(7, 1, "a".into()), Typed::Queued);
        assert_eq!(
            keys.push(7, 1, "a".into()),
            Typed::Already(0),
            "accepted, but not in the terminal yet"
        );
        assert_eq!(keys.wrote(1), Some((7, 1)));
        assert_eq!(keys.push(7, 1, "a".into()), Typed::Already(1));
        assert_eq!(
            keys.push(8, 1, "c".into()),
            Typed::Queued,
            "another writer counts for itself"
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut keys = Keys::default();
        let paste = Bytes::from(vec![b'x'; 64 * 1024]);
        let taken = (1..100)
            .take_while(|seq| keys.push(1, *seq, paste.clone()) == Typed::Queued)
            .count();
        assert_eq!(taken, WAITING_BYTES_MAX / paste.len());
        assert_eq!(keys.drop_waiting().len(), taken);
        assert_eq!(keys.push(1, taken as u64 + 1, paste), Typed::Queued);
    }

    #[test]
    fn writers_beyond_the_limit_push_out_the_one_heard_of_longest_ago() {
        let mut keys = Keys::default();
        for writer in 0..=WRITERS_MAX as u64 {
            assert_eq!(keys.push(writer, 1, "x".into()), Typed::Queued);
            keys.wrote(1);
        }
        assert_eq!(keys.push(1, 1, "x".into()), Typed::Already(1));
        assert_eq!(keys.push(0, 2, "x".into()), Typed::Hole(0), "forgotten");
    }

    proptest! {
        #[test]
        fn whatever_is_lost_repeated_or_reordered_each_byte_is_typed_once_in_order(
            arrivals in prop::collection::vec(1_u64..20, 0..200),
            drains in prop::collection::vec(any::<bool>(), 200),
        ) {
            let mut keys = Keys::default();
            let mut typed = Vec::new();
            for (seq, drain_now) in arrivals.into_iter().zip(drains) {
                keys.push(1, seq, Bytes::from(vec![seq as u8]));
                if drain_now {
                    drain(&mut keys, &mut typed);
                }
            }
            drain(&mut keys, &mut typed);
            let expected: Vec<u8> = (1..=typed.len() as u8).collect();
            prop_assert_eq!(typed, expected);
        }
    }
}
