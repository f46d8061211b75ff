//! Stage 5, recording: the journal's bytes in durable, hash-chained chunks.
//!
//! A recording is the journal's bytes `[0, end)` cut into chunks, each an object in the blob store and a row in SQL with
//! its place in the chain: `chain(n) = BLAKE3(chain(n-1) ‖ start ‖ end ‖ bytes)`, `chain(0) = BLAKE3(session)`. Bytes and
//! chain lie in different stores, so changing one is seen from the other.

mod export;
mod index;
mod utf8;
mod verify;

pub use export::*;
pub use index::*;
pub use utf8::*;
pub use verify::*;

use crate::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// What happens when the recording cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingPolicy {
    /// The session stops.
    Required,
    /// The session goes on; the gap is told to everyone and marked.
    #[default]
    BestEffort,
    /// Nothing is kept.
    Off,
}

/// A link of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// Before the first chunk.
    pub fn genesis(session: SessionId) -> Self {
        Self(*blake3::hash(session.0.as_bytes()).as_bytes())
    }

    /// After a chunk of bytes `[start, start + bytes.len())`.
    #[must_use]
    pub fn extend(&self, start: u64, bytes: &[u8]) -> Self {
        let mut h = blake3::Hasher::new();
        h.update(&self.0);
        h.update(&start.to_be_bytes());
        h.update(&(start + bytes.len() as u64).to_be_bytes());
        h.update(bytes);
        Self(*h.finalize().as_bytes())
    }

    /// 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Back from hex.
    pub fn from_hex(s: &str) -> Option<Self> {
        blake3::Hash::from_hex(s).ok().map(|h| Self(*h.as_bytes()))
    }
}

impl std::fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainHash({})", self.hex())
    }
}

/// A durable piece of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub start: u64,
    pub end: u64,
    /// Chain after this chunk.
    pub chain: ChainHash,
    /// Name in the blob store.
    pub key: String,
}

/// How far a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingHead {
    pub session: SessionId,
    /// Journal bytes that are durable.
    pub end: u64,
    pub chain: ChainHash,
    /// Chunks so far.
    pub chunks: u64,
    pub state: RecordingState,
    /// Time of the agent's clock in the last durable record, for metering a lost sandbox.
    pub last_us: u64,
}

/// Why a recording was cut that reached its limit ([`crate::limits::RECORDING_BYTES_MAX`]).
pub const TOO_LARGE: &str = "too-large";

/// Whether a recording still grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RecordingState {
    Open,
    /// The journal's last record is in it.
    Complete {
        at: Timestamp,
    },
    /// The sandbox went before its last bytes were taken; what is there is intact.
    Cut {
        at: Timestamp,
        reason: String,
    },
    /// It had its time, or its learner was forgotten: nothing can be read of it, and nothing is added.
    Removed {
        at: Timestamp,
    },
}

impl RecordingState {
    /// The code of why nothing is added any more; none while it is open.
    pub fn over_code(&self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Cut { reason, .. } if reason == TOO_LARGE => Some(TOO_LARGE),
            Self::Cut { .. } => Some("recording-cut"),
            Self::Complete { .. } | Self::Removed { .. } => Some("recording-closed"),
        }
    }
}
