//! Messages between orchestrator and agent: text frames are JSON, binary frames carry bytes. See `docs/protocol.md`.

use crate::{CheckId, TerminalIndex, WriterId, journal::Seat};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Version of the agent's protocol. A side that meets a higher major number says so and closes.
pub const PROTOCOL_VERSION: u16 = 1;

/// Orchestrator → agent, as JSON text frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToAgent {
    /// First message of a connection.
    Hello {
        version: u16,
    },
    /// Send the journal from this offset (raised to the oldest kept; the first JOURNAL frame says where it really starts).
    Follow {
        from: u64,
    },
    /// Send a snapshot of a terminal, in order with the journal.
    Snapshot {
        request: u32,
        terminal: TerminalIndex,
    },
    /// Set a terminal's size; only the seat's writer may.
    Resize {
        terminal: TerminalIndex,
        writer: String,
        cols: u16,
        rows: u16,
    },
    /// Give the seat to this writer, or to nobody when its writer is empty. Becomes a journal record.
    Seat {
        terminal: TerminalIndex,
        seat: Seat,
    },
    /// Someone watches; the agent writes the leaving itself when this connection ends.
    Join {
        viewer: String,
        name: String,
        role: String,
    },
    Leave {
        viewer: String,
    },
    /// Start an ended terminal's program again.
    Restart {
        terminal: TerminalIndex,
    },
    /// Run these checks (all when empty); outcomes become journal records, `done` is the reply.
    Check {
        request: u32,
        checks: Vec<CheckId>,
    },
    /// Put a named point into the journal.
    Marker {
        terminal: TerminalIndex,
        label: String,
    },
    /// Stop reading terminals, keep everything (and send SIGSTOP to the lab), until thawed.
    Freeze,
    Thaw,
    /// End the lab orderly: terminals hung up, last record written, kept until durable or 5 s, then exit 0.
    Stop {
        reason: String,
    },
}

/// Agent → orchestrator, as JSON text frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// Answer to `hello`.
    Welcome(Welcome),
    /// Every [`crate::limits::BEAT_EVERY`]: the agent's clock.
    Beat { now_us: u64 },
    /// Answer to `check`: all outcomes are in the journal before this.
    Done { request: u32 },
    /// A request could not be done. `code` is one of `docs/protocol.md`'s.
    Refused {
        request: Option<u32>,
        code: String,
        message: String,
    },
}

/// The agent's state when a connection begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u16,
    /// Random per agent start: a different one means a different sandbox.
    pub boot: String,
    /// Microseconds since the agent started.
    pub now_us: u64,
    /// Unix microseconds at the agent's start, by the sandbox's clock.
    pub started_unix_us: i64,
    /// When the lab became ready, by the agent's clock.
    pub ready_us: Option<u64>,
    /// Oldest journal offset still kept, always a record's start.
    pub journal_start: u64,
    /// Offset after the last record.
    pub journal_end: u64,
    /// Highest offset a recorder said is durable.
    pub durable: u64,
    pub terminals: Vec<TerminalState>,
    /// Last outcome of each check that ran.
    pub checks: Vec<crate::journal::CheckOutcome>,
    /// Who watches now (by other connections too).
    pub viewers: Vec<crate::journal::Join>,
}

/// A terminal when a connection begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalState {
    pub cols: u16,
    pub rows: u16,
    /// Output bytes so far.
    pub offset: u64,
    pub seat: Option<Seat>,
    /// Exit status when its program has ended.
    pub exited: Option<i32>,
    pub last_command: Option<crate::journal::Command>,
}

/// Binary frames of the agent's protocol, both directions. The first byte is the kind, integers are big endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentFrame {
    /// agent →: journal bytes from this offset. `01 offset:u64 bytes`
    Journal { offset: u64, bytes: Bytes },
    /// agent →: `02 request:u32 terminal:u16 offset:u64 journal:u64 cols:u16 rows:u16 bytes`; everything before `journal` was sent before it
    Snapshot(SnapshotFrame),
    /// → agent: numbered input; applied when the writer has the seat and `seq` follows its last. `03 terminal:u16 writer:u64 seq:u64 bytes`
    Input {
        terminal: TerminalIndex,
        writer: WriterId,
        seq: u64,
        bytes: Bytes,
    },
    /// agent →: input up to and including `seq` was applied (or refused for good). `04 terminal:u16 writer:u64 seq:u64`
    InputAck {
        terminal: TerminalIndex,
        writer: WriterId,
        seq: u64,
    },
    /// → agent: the seat's browser lets output run up to this absolute offset; `u64::MAX` lifts the limit. `05 terminal:u16 writer:u64 limit:u64`
    Credit {
        terminal: TerminalIndex,
        writer: WriterId,
        limit: u64,
    },
    /// → agent: journal below this offset is durable, said by the recorder of lease `epoch`; a lower epoch is ignored. `06 epoch:u64 offset:u64`
    Durable { epoch: u64, offset: u64 },
    /// → agent: this follower has taken the journal up to here. `07 offset:u64`
    Taken { offset: u64 },
}

/// A terminal's whole state at an exact offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFrame {
    pub request: u32,
    pub terminal: TerminalIndex,
    /// Output bytes the screen contains.
    pub offset: u64,
    /// Journal offset it was taken at.
    pub journal: u64,
    pub cols: u16,
    pub rows: u16,
    /// Escape sequences that draw it on a fresh terminal; contains no query.
    pub screen: Bytes,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame is empty")]
    Empty,
    #[error("frame kind {0:#04x} is not known")]
    Kind(u8),
    #[error("frame kind {kind:#04x} needs {need} bytes, has {have}")]
    Short { kind: u8, need: usize, have: usize },
}

/// Takes the kind byte and checks that `need` bytes follow.
pub(crate) fn open(frame: &mut Bytes, need: impl Fn(u8) -> Option<usize>) -> Result<u8, FrameError> {
    if frame.is_empty() {
        return Err(FrameError::Empty);
    }
    let kind = frame.get_u8();
    let need = need(kind).ok_or(FrameError::Kind(kind))?;
    if frame.len() < need {
        return Err(FrameError::Short {
            kind,
            need,
            have: frame.len(),
        });
    }
    Ok(kind)
}

impl AgentFrame {
    /// Encodes as one binary message.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(32 + self.payload_len());
        match self {
            Self::Journal { offset, bytes } => {
                out.put_u8(1);
                out.put_u64(*offset);
                out.put_slice(bytes);
            }
            Self::Snapshot(s) => {
                out.put_u8(2);
                out.put_u32(s.request);
                out.put_u16(s.terminal);
                out.put_u64(s.offset);
                out.put_u64(s.journal);
                out.put_u16(s.cols);
                out.put_u16(s.rows);
                out.put_slice(&s.screen);
            }
            Self::Input {
                terminal,
                writer,
                seq,
                bytes,
            } => {
                out.put_u8(3);
                out.put_u16(*terminal);
                out.put_u64(*writer);
                out.put_u64(*seq);
                out.put_slice(bytes);
            }
            Self::InputAck { terminal, writer, seq } => put_three(&mut out, 4, *terminal, *writer, *seq),
            Self::Credit {
                terminal,
                writer,
                limit,
            } => put_three(&mut out, 5, *terminal, *writer, *limit),
            Self::Durable { epoch, offset } => {
                out.put_u8(6);
                out.put_u64(*epoch);
                out.put_u64(*offset);
            }
            Self::Taken { offset } => {
                out.put_u8(7);
                out.put_u64(*offset);
            }
        }
        out.freeze()
    }

    fn payload_len(&self) -> usize {
        match self {
            Self::Journal { bytes, .. } | Self::Input { bytes, .. } => bytes.len(),
            Self::Snapshot(s) => s.screen.len(),
            _ => 0,
        }
    }

    /// Decodes one binary message; the payload shares the message's memory.
    pub fn decode(mut f: Bytes) -> Result<Self, FrameError> {
        let kind = open(&mut f, |kind| match kind {
            1 | 7 => Some(8),
            2 => Some(26),
            3..=5 => Some(18),
            6 => Some(16),
            _ => None,
        })?;
        Ok(match kind {
            1 => Self::Journal {
                offset: f.get_u64(),
                bytes: f,
            },
            2 => Self::Snapshot(SnapshotFrame {
                request: f.get_u32(),
                terminal: f.get_u16(),
                offset: f.get_u64(),
                journal: f.get_u64(),
                cols: f.get_u16(),
                rows: f.get_u16(),
                screen: f,
            }),
            3 => Self::Input {
                terminal: f.get_u16(),
                writer: f.get_u64(),
                seq: f.get_u64(),
                bytes: f,
            },
            4 => Self::InputAck {
                terminal: f.get_u16(),
                writer: f.get_u64(),
                seq: f.get_u64(),
            },
            5 => Self::Credit {
                terminal: f.get_u16(),
                writer: f.get_u64(),
                limit: f.get_u64(),
            },
            6 => Self::Durable {
                epoch: f.get_u64(),
                offset: f.get_u64(),
            },
            _ => Self::Taken { offset: f.get_u64() },
        })
    }
}

fn put_three(out: &mut BytesMut, kind: u8, terminal: TerminalIndex, writer: WriterId, number: u64) {
    out.put_u8(kind);
    out.put_u16(terminal);
    out.put_u64(writer);
    out.put_u64(number);
}
