//! Journal bytes that are not durable yet: adjacent pieces that begin and end at records.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Pending {
    pieces: VecDeque<Bytes>,
    start: u64,
    end: u64,
}

impl Pending {
    /// Nothing yet; the next byte wanted is at `offset`.
    pub fn at(offset: u64) -> Self {
        Self {
            pieces: VecDeque::new(),
            start: offset,
            end: offset,
        }
    }

    pub fn start(&self) -> u64 {
        self.start
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a piece; what is there already is left out. False, and nothing added, when bytes before it are missing.
    pub fn push(&mut self, start: u64, mut bytes: Bytes) -> bool {
        if start > self.end {
            return false;
        }
        let known = (self.end - start).min(bytes.len() as u64);
        bytes = bytes.slice(known as usize..);
        self.end += bytes.len() as u64;
        if !bytes.is_empty() {
            self.pieces.push_back(bytes);
        }
        true
    }

    /// Drops what lies below `offset`.
    pub fn advance(&mut self, offset: u64) {
        while self.start < offset {
            let Some(first) = self.pieces.pop_front() else { break };
            let drop = (offset - self.start).min(first.len() as u64);
            self.start += drop;
            if drop < first.len() as u64 {
                self.pieces.push_front(first.slice(drop as usize..));
            }
        }
        if self.pieces.is_empty() {
            self.start = self.start.max(offset);
            self.end = self.end.max(self.start);
        }
    }

    /// Everything, as one.
    pub fn joined(&self) -> Bytes {
        if let (Some(only), 1) = (self.pieces.front(), self.pieces.len()) {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(self.len() as usize);
        self.pieces.iter().for_each(|p| all.extend_from_slice(p));
        all.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_overlapping_pieces_are_taken_once() {
        let mut p = Pending::at(10);
        assert!(p.push(5, Bytes::from_static(b"0123456789")));
        assert_eq!((p.start(), p.end(), &p.joined()[..]), (10, 15, &b"56789"[..]));
        assert!(p.push(10, Bytes::from_static(b"56")));
        assert!(p.push(13, Bytes::from_static(b"89ab")));
        assert_eq!(&p.joined()[..], b"56789ab");
        assert!(!p.push(18, Bytes::from_static(b"x")));
        p.advance(12);
        assert_eq!((p.start(), &p.joined()[..]), (12, &b"789ab"[..]));
        p.advance(40);
        assert_eq!((p.start(), p.end(), p.is_empty()), (40, 40, true));
    }
}
