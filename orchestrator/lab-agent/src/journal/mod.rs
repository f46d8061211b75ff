//! The journal as the agent keeps it: encoded bytes, the newest in memory for followers, all that must be kept on disk.
//!
//! ```text
//!   start            on disk (segments)                     written        end
//!     ├──────────────┬──────────────┬──────────────┬────────────┤┄┄┄┄┄┄┄┄┄┄┄┤
//!                                          ├──── tail (memory) ─────────────┤
//! ```
//! `written` is behind `end` only while the disk is full: then the rest waits in memory and terminals are paused.

mod segments;

use bytes::{Bytes, BytesMut};
use lab_core::{
    TerminalIndex,
    journal::{Event, Record},
    limits::{JOURNAL_KEEP_BYTES, JOURNAL_UNDURABLE_BYTES_MAX},
};
use segments::Segments;
use std::{collections::VecDeque, io, path::Path};

/// Newest bytes kept in memory: one follower's window, so that a follower that keeps up never reads the disk.
const TAIL_BYTES: u64 = lab_core::limits::FOLLOW_WINDOW_BYTES;

/// What may wait in memory while the disk is full; beyond it, requests that would add records are refused. Terminals are
/// paused from the first byte, so this is filled by seats, joins and markers only.
const UNWRITTEN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The session's log.
pub struct Journal {
    segments: Segments,
    tail: VecDeque<(u64, Bytes)>,
    end: u64,
    last_us: u64,
    durable: u64,
    epoch: u64,
    disk_full: bool,
    closed: bool,
}

/// What appending did, for those who must act on it.
#[derive(Debug, PartialEq, Eq)]
pub enum Appended {
    Written,
    /// The disk just became full; told once per time it happens.
    DiskFull,
    /// The journal is closed; nothing was added.
    Closed,
}

impl Journal {
    /// An empty journal in `dir`, which is made. What an earlier agent left there is kept aside, once.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            segments: Segments::open(dir)?,
            tail: VecDeque::new(),
            end: 0,
            last_us: 0,
            durable: 0,
            epoch: 0,
            disk_full: false,
            closed: false,
        })
    }

    /// Adds a record. `offset` is the terminal's output offset, `now_us` the agent's clock.
    pub fn append(&mut self, now_us: u64, terminal: TerminalIndex, offset: u64, event: Event) -> Appended {
        if self.closed {
            return Appended::Closed;
        }
        self.last_us = self.last_us.max(now_us);
        let mut bytes = BytesMut::new();
        Record {
            terminal,
            time_us: self.last_us,
            offset,
            event,
        }
        .encode(&mut bytes);
        self.tail.push_back((self.end, bytes.freeze()));
        self.end = self.tail.back().map_or(self.end, |(at, bytes)| at + bytes.len() as u64);
        let was_full = self.disk_full;
        self.write_out();
        self.trim();
        if self.disk_full && !was_full {
            Appended::DiskFull
        } else {
            Appended::Written
        }
    }

    /// Tries again to write what a full disk left in memory.
    pub fn write_out(&mut self) {
        let first = self.tail.partition_point(|(at, _)| *at < self.segments.end());
        self.disk_full = false;
        for (_, bytes) in self.tail.iter().skip(first) {
            if let Err(error) = self.segments.append(bytes) {
                // why every error is taken as "full": quota, read-only and I/O errors have the same remedy, waiting
                crate::log::line("error", "journal-write", &error);
                self.disk_full = true;
                break;
            }
        }
    }

    fn trim(&mut self) {
        while let Some((at, bytes)) = self.tail.front()
            && at + (bytes.len() as u64) <= self.segments.end()
            && self.end - at > TAIL_BYTES
        {
            self.tail.pop_front();
        }
        let keep_from = self.durable.min(self.end.saturating_sub(JOURNAL_KEEP_BYTES));
        self.segments.drop_below(keep_from);
    }

    /// The recorder of lease `epoch` has everything below `offset`. News of an older lease, and of bytes that do not
    /// exist, change nothing.
    pub fn durable(&mut self, epoch: u64, offset: u64) {
        if epoch < self.epoch || offset > self.end {
            return;
        }
        self.epoch = epoch;
        self.durable = self.durable.max(offset);
        self.trim();
    }

    /// Copies up to `max` bytes from `from` (at least one, if there is any) to `out`; returns where they really start,
    /// which is later than `from` when those are no longer kept.
    pub fn read(&self, from: u64, max: usize, out: &mut BytesMut) -> io::Result<u64> {
        let from = from.max(self.start());
        match self.tail.front() {
            Some((tail, _)) if from >= *tail => {
                let mut i = self
                    .tail
                    .partition_point(|(at, bytes)| at + (bytes.len() as u64) <= from);
                let mut room = max;
                let mut at = from;
                while let Some((start, bytes)) = self.tail.get(i)
                    && room > 0
                {
                    let part = &bytes[(at - start) as usize..];
                    let part = &part[..part.len().min(room)];
                    out.extend_from_slice(part);
                    at += part.len() as u64;
                    room -= part.len();
                    i += 1;
                }
            }
            _ => self.segments.read(from, max, out)?,
        }
        Ok(from)
    }

    /// Oldest byte kept; a record's start.
    pub fn start(&self) -> u64 {
        self.segments.start()
    }

    /// Offset after the last record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Highest offset that a recorder has made durable.
    pub fn durable_offset(&self) -> u64 {
        self.durable
    }

    /// Whether terminals may add output: the disk takes it and the recorder is not too far behind.
    pub fn takes_output(&self) -> bool {
        !self.closed && !self.disk_full && self.end - self.durable < JOURNAL_UNDURABLE_BYTES_MAX
    }

    /// Whether records of other kinds may be added.
    pub fn takes_events(&self) -> bool {
        !self.closed && self.end - self.segments.end() < UNWRITTEN_BYTES_MAX
    }

    /// Whether something waits in memory for a full disk.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full
    }

    /// Nothing is added after this.
    pub fn close(&mut self) {
        self.closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(n: usize) -> Event {
        Event::Output(Bytes::from(vec![b'x'; n]))
    }

    fn all(journal: &Journal) -> Vec<u8> {
        let mut whole = BytesMut::new();
        let mut at = journal.start();
        while at < journal.end() {
            let before = whole.len();
            assert_eq!(journal.read(at, 100_000, &mut whole).unwrap(), at);
            assert!(whole.len() > before, "no progress at {at}");
            at += (whole.len() - before) as u64;
        }
        whole.to_vec()
    }

    #[test]
    fn what_is_read_is_what_was_appended_from_memory_and_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        let mut expected = BytesMut::new();
        for i in 0..100_u64 {
            let event = output(60_000 + i as usize);
            Record {
                terminal: 0,
                time_us: i,
                offset: 0,
                event: event.clone(),
            }
            .encode(&mut expected);
            journal.append(i, 0, 0, event);
        }
        assert_eq!(journal.start(), 0, "nothing is durable, so nothing is dropped");
        assert!(all(&journal) == expected, "bytes differ");
        for from in [0, 1, 3_000_000, journal.end() - 1] {
            let mut part = BytesMut::new();
            journal.read(from, 1 << 20, &mut part).unwrap();
            assert!(
                !part.is_empty() && expected[from as usize..].starts_with(&part),
                "from {from}"
            );
        }
    }

    #[test]
    fn durable_bytes_are_dropped_but_the_last_8_mib_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        for i in 0..400 {
            journal.append(i, 0, 0, output(60_000));
        }
        journal.durable(2, journal.end());
        let kept = journal.end() - journal.start();
        assert!(
            (JOURNAL_KEEP_BYTES..JOURNAL_KEEP_BYTES + 2 * 1024 * 1024).contains(&kept),
            "{kept} bytes kept"
        );
        let mut decoder = lab_core::journal::Decoder::new(journal.start());
        decoder.push(&all(&journal));
        let mut records = 0;
        while decoder.next_record().unwrap().is_some() {
            records += 1;
        }
        assert!(records > 100, "starts at a record's start");
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(files <= 12, "{files} segments of about 1 MiB left on disk");
    }

    #[test]
    fn news_of_an_older_lease_or_of_bytes_that_do_not_exist_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        journal.append(0, 0, 0, output(100));
        journal.durable(3, 50);
        journal.durable(2, 100);
        journal.durable(3, 1000);
        assert_eq!(journal.durable_offset(), 50);
    }

    #[test]
    fn output_is_refused_at_64_mib_that_are_not_durable_until_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        while journal.end() < JOURNAL_UNDURABLE_BYTES_MAX {
            assert!(journal.takes_output());
            journal.append(0, 0, 0, output(65_000));
        }
        assert!(!journal.takes_output());
        assert!(journal.takes_events());
        journal.durable(1, 100_000);
        assert!(journal.takes_output());
    }

    #[test]
    fn a_full_disk_loses_nothing_and_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&dir.path().join("journal")).unwrap();
        journal.append(0, 0, 0, output(10));
        journal.segments.fail_writes(true);
        assert_eq!(journal.append(1, 0, 10, output(10)), Appended::DiskFull);
        assert_eq!(journal.append(2, 0, 20, output(10)), Appended::Written, "told once");
        assert!(!journal.takes_output());
        let before = all(&journal);
        journal.segments.fail_writes(false);
        journal.write_out();
        assert!(journal.takes_output() && !journal.is_disk_full());
        assert_eq!(all(&journal), before);
        assert_eq!(journal.segments.end(), journal.end());
    }
}
