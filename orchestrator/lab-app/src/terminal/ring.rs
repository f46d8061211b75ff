//! The recent output of one terminal, by absolute offset.
//!
//! Long pieces are kept as the slices they came in and handed on as such: one read from the agent is shown to many browsers
//! without a copy. Short pieces are copied together, so that a million keystrokes are not a million allocations. Nothing is
//! allocated before there is output.

use super::limits::{OUTPUT_PIECE_BYTES, SLICE_BYTES_MIN, TAIL_BYTES};
use bytes::Bytes;
use lab_core::limits::RING_BYTES_MAX;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Pieces in order, each with its first offset; adjacent.
    slices: VecDeque<(u64, Bytes)>,
    /// Short pieces, after the slices.
    tail: Vec<u8>,
    start: u64,
    end: u64,
}

impl Ring {
    /// An empty ring whose next byte is at `offset`.
    pub fn at(offset: u64) -> Self {
        Self {
            start: offset,
            end: offset,
            ..Self::default()
        }
    }

    /// Offset of the oldest byte kept.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Offset after the newest byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds what follows the newest byte.
    pub fn push(&mut self, bytes: Bytes) {
        let at = self.end;
        self.end += bytes.len() as u64;
        if bytes.len() < SLICE_BYTES_MIN {
            self.tail.extend_from_slice(&bytes);
            if self.tail.len() >= TAIL_BYTES {
                self.close_tail(self.end);
            }
        } else {
            self.close_tail(at);
            self.slices.push_back((at, bytes));
        }
        self.evict();
    }

    fn close_tail(&mut self, end: u64) {
        if !self.tail.is_empty() {
            let tail = Bytes::from(std::mem::take(&mut self.tail));
            self.slices.push_back((end - tail.len() as u64, tail));
        }
    }

    fn evict(&mut self) {
        while self.end - self.start > RING_BYTES_MAX as u64 {
            let Some((at, first)) = self.slices.pop_front() else {
                return;
            };
            self.start = at + first.len() as u64;
        }
    }

    /// A piece that begins at `offset` and ends at `until` at the latest; `None` when there is no such byte here.
    pub fn piece(&self, offset: u64, until: u64) -> Option<Bytes> {
        let until = until.min(self.end);
        if offset < self.start || offset >= until {
            return None;
        }
        let max = (until - offset).min(OUTPUT_PIECE_BYTES as u64) as usize;
        let tail_start = self.end - self.tail.len() as u64;
        if offset >= tail_start {
            let from = (offset - tail_start) as usize;
            let to = self.tail.len().min(from + max);
            return Some(Bytes::copy_from_slice(&self.tail[from..to]));
        }
        let index = self.slices.partition_point(|(at, _)| *at <= offset) - 1;
        let (at, slice) = &self.slices[index];
        let from = (offset - at) as usize;
        Some(slice.slice(from..slice.len().min(from + max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_of_the_output_is_read_back_exactly(
            sizes in proptest::collection::vec(prop_oneof![1usize..200, 10_000usize..70_000], 1..120),
            start in 0u64..1_000_000,
            cut in 0.0f64..1.0,
        ) {
            let mut ring = Ring::at(start);
            let mut all = Vec::new();
            for (n, size) in sizes.iter().enumerate() {
                let bytes: Vec<u8> = (0..*size).map(|i| (i * 7 + n) as u8).collect();
                all.extend_from_slice(&bytes);
                ring.push(Bytes::from(bytes));
            }
            prop_assert_eq!(ring.end(), start + all.len() as u64);
            prop_assert!(ring.end() - ring.start() <= RING_BYTES_MAX as u64 + TAIL_BYTES as u64);
            let from = ring.start() + ((ring.end() - ring.start()) as f64 * cut) as u64;
            let mut read = Vec::new();
            while let Some(piece) = ring.piece(from + read.len() as u64, u64::MAX) {
                prop_assert!(!piece.is_empty() && piece.len() <= OUTPUT_PIECE_BYTES);
                read.extend_from_slice(&piece);
            }
            prop_assert_eq!(&read[..], &all[(from - start) as usize..]);
        }
    }

    #[test]
    fn what_is_not_there_is_not_given() {
        let mut ring = Ring::at(10);
        ring.push(Bytes::from_static(b"abc"));
        assert_eq!(ring.piece(9, u64::MAX), None);
        assert_eq!(ring.piece(13, u64::MAX), None);
        assert_eq!(ring.piece(11, 12), Some(Bytes::from_static(b"b")));
    }

    #[test]
    fn long_output_is_handed_on_without_a_copy() {
        let bytes = Bytes::from(vec![7; SLICE_BYTES_MIN]);
        let mut ring = Ring::at(0);
        ring.push(bytes.clone());
        assert_eq!(ring.piece(0, u64::MAX).unwrap().as_ptr(), bytes.as_ptr());
    }
}
