//! Whether a recording can be trusted, and from where on it cannot.
//!
//! Chunks are checked in order: that each follows the last, that its object has its bytes, that the chain over them is the
//! stored one, that they are whole records. Everything before the first doubtful chunk is proven by the chain; nothing after
//! it is, so checking ends there. Within that chunk, records' own checksums show where it was damaged: enough against
//! accidents, no proof against intent, which is why both offsets are told.

use super::{ChainHash, Chunk, RecordingHead};
use crate::{
    SessionId,
    journal::{Decoder, JournalError},
};
use serde::{Deserialize, Serialize};

/// Why bytes cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// The chunk's object is not there, or its row is not.
    Missing,
    /// The object has fewer bytes than its row says.
    Shorter,
    /// The object's bytes, or the row's chain, are not those that were recorded.
    Changed,
    /// The object has more bytes than its row says, or there are more rows than the recording counts.
    Extra,
    /// The bytes are those that were recorded, and not records: the agent sent them so.
    NotRecords,
}

/// The first doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Where the damage shows: the first record that is not intact, or the chunk's start when each is intact by itself.
    pub at: u64,
    /// Number of its chunk, from 0.
    pub chunk: u64,
    /// The chunk's object, where there is one.
    pub key: Option<String>,
    pub damage: Damage,
}

/// What a check of a whole recording found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    pub session: SessionId,
    /// Chunks that are as they were recorded.
    pub chunks: u64,
    /// Journal bytes `[0, trusted)` are as they were recorded: the chain proves it. The first that cannot be trusted is here.
    pub trusted: u64,
    /// Bytes the recording should have.
    pub end: u64,
    /// None: everything is in order.
    pub doubt: Option<Doubt>,
}

/// Checks chunk by chunk; see the module's doc.
#[derive(Debug)]
pub struct Verifier {
    head: RecordingHead,
    chain: ChainHash,
    end: u64,
    chunks: u64,
    doubt: Option<Doubt>,
}

impl Verifier {
    /// Of the recording with this head.
    pub fn new(head: RecordingHead) -> Self {
        Self {
            chain: ChainHash::genesis(head.session),
            head,
            end: 0,
            chunks: 0,
            doubt: None,
        }
    }

    /// Whether there is a doubt: the rest need not be read.
    pub fn is_over(&self) -> bool {
        self.doubt.is_some()
    }

    fn doubt(&mut self, at: u64, key: Option<&str>, damage: Damage) {
        let key = key.map(str::to_owned);
        self.doubt.get_or_insert(Doubt {
            at,
            chunk: self.chunks,
            key,
            damage,
        });
    }

    /// The next chunk's row, and its object's bytes where there are any.
    pub fn add(&mut self, chunk: &Chunk, bytes: Option<&[u8]>) {
        if self.is_over() {
            return;
        }
        let key = Some(chunk.key.as_str());
        if chunk.start != self.end || chunk.end <= chunk.start {
            // a row between is gone, or rows were swapped
            return self.doubt(self.end, key, Damage::Missing);
        }
        if self.chunks >= self.head.chunks {
            return self.doubt(self.end, key, Damage::Extra);
        }
        let Some(bytes) = bytes else {
            return self.doubt(chunk.start, key, Damage::Missing);
        };
        let chain = self.chain.extend(chunk.start, bytes);
        if chain != chunk.chain {
            let (at, damage) = locate(chunk, bytes);
            return self.doubt(at, key, damage);
        }
        if let Err(at) = whole_records(chunk.start, bytes) {
            return self.doubt(at, key, Damage::NotRecords);
        }
        (self.chain, self.end) = (chain, chunk.end);
        self.chunks += 1;
    }

    /// After the last row.
    pub fn finish(mut self) -> VerifyReport {
        let mut trusted = self.end;
        if !self.is_over() {
            if self.end < self.head.end || self.chunks < self.head.chunks {
                self.doubt(self.end, None, Damage::Missing);
            } else if self.chain != self.head.chain || self.end > self.head.end {
                // every chunk follows from the one before, and yet the last is not the head's
                trusted = 0;
                self.doubt = Some(Doubt {
                    at: 0,
                    chunk: 0,
                    key: None,
                    damage: Damage::Changed,
                });
            }
        }
        VerifyReport {
            session: self.head.session,
            chunks: self.chunks,
            trusted,
            end: self.head.end,
            doubt: self.doubt,
        }
    }
}

/// The first record of a changed chunk that its own checksum does not vouch for. Where every record does, whole records were
/// taken away, moved or made anew, and the damage is somewhere from the chunk's start on.
fn locate(chunk: &Chunk, bytes: &[u8]) -> (u64, Damage) {
    let want = chunk.end - chunk.start;
    let damage = match (bytes.len() as u64).cmp(&want) {
        std::cmp::Ordering::Less => Damage::Shorter,
        std::cmp::Ordering::Equal => Damage::Changed,
        std::cmp::Ordering::Greater => Damage::Extra,
    };
    match whole_records(chunk.start, &bytes[..bytes.len().min(want as usize)]) {
        Err(at) => (at, damage),
        Ok(()) => (chunk.start, damage),
    }
}

/// `Err`: the offset of the first record that is not whole or not intact.
fn whole_records(start: u64, bytes: &[u8]) -> Result<(), u64> {
    let mut decoder = Decoder::new(start);
    decoder.push(bytes);
    loop {
        match decoder.next_record() {
            Ok(Some(_)) => {}
            Ok(None) if decoder.offset() == decoder.end() => return Ok(()),
            Ok(None) => return Err(decoder.offset()),
            Err(
                JournalError::TooLong { at, .. } | JournalError::Checksum { at } | JournalError::Payload { at, .. },
            ) => {
                return Err(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{Event, Record},
        recording::RecordingState,
    };
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    struct Recorded {
        head: RecordingHead,
        chunks: Vec<(Chunk, Option<Vec<u8>>)>,
        /// Where each record starts.
        records: Vec<u64>,
    }

    fn recorded(chunk_count: usize, per_chunk: usize) -> Recorded {
        let session = SessionId(uuid::Uuid::from_u128(7));
        let (mut chain, mut end) = (ChainHash::genesis(session), 0);
        let (mut chunks, mut records) = (Vec::new(), Vec::new());
        for n in 0..chunk_count {
            let mut bytes = BytesMut::new();
            for m in 0..per_chunk {
                records.push(end + bytes.len() as u64);
                let event = Event::Output(Bytes::from(vec![(n * 31 + m) as u8; 5 + (m * 7 + n) % 40]));
                Record {
                    terminal: 0,
                    time_us: 1,
                    offset: 0,
                    event,
                }
                .encode(&mut bytes);
            }
            let start = end;
            chain = chain.extend(start, &bytes);
            end += bytes.len() as u64;
            chunks.push((
                Chunk {
                    start,
                    end,
                    chain,
                    key: format!("c{n}"),
                },
                Some(bytes.to_vec()),
            ));
        }
        let state = RecordingState::Open;
        let head = RecordingHead {
            session,
            end,
            chain,
            chunks: chunk_count as u64,
            state,
            last_us: 1,
        };
        Recorded { head, chunks, records }
    }

    fn check(r: &Recorded) -> VerifyReport {
        let mut v = Verifier::new(r.head.clone());
        r.chunks
            .iter()
            .for_each(|(chunk, bytes)| v.add(chunk, bytes.as_deref()));
        v.finish()
    }

    #[test]
    fn an_untouched_recording_is_trusted_to_its_end() {
        let r = recorded(4, 5);
        let report = check(&r);
        assert_eq!((report.doubt, report.trusted, report.chunks), (None, r.head.end, 4));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found_within_its_record(chunk in 0usize..5, at in 0.0f64..1.0, bit in 0u8..8) {
            let mut r = recorded(5, 6);
            let (row, bytes) = &mut r.chunks[chunk];
            let bytes = bytes.as_mut().unwrap();
            let index = ((bytes.len() - 1) as f64 * at) as usize;
            bytes[index] ^= 1 << bit;
            let damaged = row.start + index as u64;
            let record = *r.records.iter().rfind(|s| **s <= damaged).unwrap();
            let start = row.start;
            let report = check(&r);
            let doubt = report.doubt.unwrap();
            prop_assert_eq!((doubt.at, doubt.chunk, doubt.damage), (record, chunk as u64, Damage::Changed));
            prop_assert_eq!(report.trusted, start);
        }

        #[test]
        fn cut_bytes_are_found_at_the_cut_record(chunk in 0usize..5, keep in 0.0f64..1.0) {
            let mut r = recorded(5, 6);
            let (row, bytes) = &mut r.chunks[chunk];
            let len = ((bytes.as_ref().unwrap().len() - 1) as f64 * keep) as usize;
            bytes.as_mut().unwrap().truncate(len);
            let cut = row.start + len as u64;
            let doubt = check(&r).doubt.unwrap();
            prop_assert!(doubt.at <= cut);
            // a cut between two records leaves each whole: then the chunk is in doubt from its start
            let between = r.records.contains(&cut);
            let want = if between { r.chunks[chunk].0.start } else { *r.records.iter().rfind(|s| **s <= cut).unwrap() };
            prop_assert_eq!((doubt.at, doubt.damage), (want, Damage::Shorter));
        }

        #[test]
        fn a_removed_object_or_row_is_found_at_its_start(chunk in 0usize..5, row in any::<bool>()) {
            let mut r = recorded(5, 6);
            let start = r.chunks[chunk].0.start;
            if row { r.chunks.remove(chunk); } else { r.chunks[chunk].1 = None; }
            let report = check(&r);
            prop_assert_eq!(report.trusted, start);
            let doubt = report.doubt.unwrap();
            prop_assert_eq!((doubt.at, doubt.damage), (start, Damage::Missing));
        }

        #[test]
        fn swapped_objects_rows_or_records_are_never_trusted(a in 0usize..5, b in 0usize..5, what in 0u8..3) {
            prop_assume!(a != b);
            let mut r = recorded(5, 6);
            let first = r.chunks[a.min(b)].0.start;
            match what {
                0 => r.chunks.swap(a, b),
                1 => {
                    let (x, y) = (r.chunks[a].1.clone(), r.chunks[b].1.clone());
                    (r.chunks[a].1, r.chunks[b].1) = (y, x);
                }
                _ => {
                    // two whole records of one chunk change places
                    let (row, bytes) = &mut r.chunks[a];
                    let bytes = bytes.as_mut().unwrap();
                    let second = (r.records[a * 6 + 1] - row.start) as usize;
                    let third = (r.records[a * 6 + 2] - row.start) as usize;
                    let moved: Vec<u8> = bytes[second..third].iter().chain(&bytes[..second]).copied().collect();
                    bytes[..third].copy_from_slice(&moved);
                    let start = row.start;
                    prop_assert_eq!(check(&r).trusted, start);
                    return Ok(());
                }
            }
            prop_assert_eq!(check(&r).trusted, first);
        }
    }

    #[test]
    fn a_lie_in_the_rows_is_found_too() {
        let mut r = recorded(3, 2);
        r.head.end += 1;
        assert_eq!(check(&r).doubt.unwrap().damage, Damage::Missing);
        let mut r = recorded(3, 2);
        r.head.chain = ChainHash([0; 32]);
        assert_eq!(check(&r).trusted, 0);
        let mut r = recorded(3, 2);
        r.head.chunks = 2;
        assert_eq!(check(&r).doubt.unwrap().damage, Damage::Extra);
    }
}
