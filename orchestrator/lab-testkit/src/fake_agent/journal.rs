//! The fake's journal: bytes in memory.

use bytes::BytesMut;
use lab_core::journal::Record;

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub start: u64,
    pub bytes: Vec<u8>,
    /// Where records start, to trim at one.
    starts: Vec<u64>,
}

impl Journal {
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub fn append(&mut self, record: &Record) {
        self.starts.push(self.end());
        let mut out = BytesMut::new();
        record.encode(&mut out);
        self.bytes.extend_from_slice(&out);
    }

    /// Raises an offset to the oldest kept record.
    pub fn raise(&self, offset: u64) -> u64 {
        offset.clamp(self.start, self.end())
    }

    pub fn slice(&self, from: u64, max: usize) -> &[u8] {
        let from = (from - self.start) as usize;
        &self.bytes[from..self.bytes.len().min(from + max)]
    }

    pub fn trim(&mut self, offset: u64) {
        let to = self
            .starts
            .iter()
            .copied()
            .chain([self.end()])
            .take_while(|s| *s <= offset)
            .last();
        if let Some(to) = to.filter(|to| *to > self.start) {
            self.bytes.drain(..(to - self.start) as usize);
            self.start = to;
            self.starts.retain(|s| *s >= to);
        }
    }
}
