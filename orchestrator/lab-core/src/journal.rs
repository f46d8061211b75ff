//! The journal: a session's append-only, byte-numbered event log.
//!
//! The agent writes it, everything else reads it: the recorder copies its bytes, a browser's screen is the output
//! records of one terminal, a replay is the whole. A journal *offset* counts encoded bytes since the session's start,
//! so "what I have" is one number and a copy is exact when its length is.
//!
//! ```text
//! record  := len:u32 kind:u8 flags:u8 terminal:u16 time_us:u64 offset:u64 crc:u32 payload[len]      (big endian)
//! len      bytes of payload, at most 128 KiB
//! flags    0
//! terminal index in the lab file, 0xffff for the session
//! time_us  microseconds since the agent started (monotonic, never decreases along the journal)
//! offset   output bytes of this terminal before this record
//! crc      crc32c of the 24 bytes before it and the payload
//! ```

use crate::{CheckId, TerminalIndex};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Bytes before a record's payload.
pub const HEADER_BYTES: usize = 28;
/// Largest payload: a keyframe (60 KiB) and an output record (64 KiB) both fit twice.
pub const PAYLOAD_MAX: usize = 128 * 1024;

/// One event of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Terminal it belongs to, or [`crate::WHOLE_SESSION`].
    pub terminal: TerminalIndex,
    /// Microseconds since the agent started.
    pub time_us: u64,
    /// Output bytes of the terminal before this record.
    pub offset: u64,
    /// What happened.
    pub event: Event,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Bytes the terminal's program wrote, as they were.
    Output(Bytes),
    /// The terminal's size changed.
    Resize { cols: u16, rows: u16 },
    /// A command was entered or ended.
    Command(Command),
    /// A named point (by the teacher, the lab or the agent).
    Marker(Marker),
    /// A check ran.
    Check(CheckOutcome),
    /// The right to type moved.
    Seat(Seat),
    /// Someone came to watch or left.
    Join(Join),
    /// The terminal's program ended; it can be started again.
    Exit { status: i32 },
    /// The whole screen at this offset: where a reader may start.
    Keyframe { cols: u16, rows: u16, screen: Bytes },
    /// The lab's own life.
    Lab(LabEvent),
    /// Bytes typed; only when the lab's recording policy says so.
    Input(Bytes),
    /// A kind this version does not know; kept so that copies stay exact.
    Unknown { kind: u8, payload: Bytes },
}

/// A command, told twice: when it is entered (`status` and `took_us` empty) and, where the shell says so, when it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What was entered, at most [`crate::limits::COMMAND_BYTES_MAX`].
    pub text: String,
    /// Exit status, from shells with integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// How long it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// A named point in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Shown to people.
    pub label: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    pub check: CheckId,
    pub passed: bool,
    /// Points earned (0 when not passed).
    pub points: u32,
    /// What the check printed, cut at [`crate::limits::CHECK_DETAIL_BYTES_MAX`].
    #[serde(default)]
    pub detail: String,
}

/// Who may type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Writer in decimal (u64 does not survive JSON numbers); empty when nobody has the seat.
    pub writer: String,
    /// Shown to people: "learner", or the name of who helps.
    pub name: String,
    /// `learner`, `teacher`.
    pub role: String,
}

/// A viewer came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which attachment, unique in the session.
    pub viewer: String,
    pub name: String,
    pub role: String,
    /// False when it left.
    pub here: bool,
}

/// The lab's own life, by the agent's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum LabEvent {
    /// The agent runs and has started the lab's `start` command.
    Starting,
    /// A step for the learner's progress list, e.g. "waiting for ready: exit status 1".
    Progress { step: String },
    /// `ready` passed and the first terminal showed its prompt: metering starts here.
    Ready,
    /// It will not become ready.
    Failed { code: String, detail: String },
    /// The lab's `start` command ended by itself.
    Exited { status: i32 },
    /// Orderly stop asked for; the last record of a journal that was closed.
    Stopping { reason: String },
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("journal offset {at}: length {len} is over {PAYLOAD_MAX}")]
    TooLong { at: u64, len: u32 },
    #[error("journal offset {at}: checksum does not match")]
    Checksum { at: u64 },
    #[error("journal offset {at}: a record of kind {kind} has a malformed payload")]
    Payload { at: u64, kind: u8 },
}

impl JournalError {
    /// The offset of the first byte that cannot be trusted.
    pub fn at(&self) -> u64 {
        match self {
            Self::TooLong { at, .. } | Self::Checksum { at } | Self::Payload { at, .. } => *at,
        }
    }
}

impl Record {
    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u32(0);
        out.put_u8(self.event.kind());
        out.put_u8(0);
        out.put_u16(self.terminal);
        out.put_u64(self.time_us);
        out.put_u64(self.offset);
        out.put_u32(0);
        self.event.encode_payload(out);
        let len = (out.len() - start - HEADER_BYTES) as u32;
        debug_assert!(len as usize <= PAYLOAD_MAX);
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
        let crc = checksum(&out[start..start + 24], &out[start + HEADER_BYTES..]);
        out[start + 24..start + HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), payload)
}

impl Event {
    /// The record's `kind` byte.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Output(_) => 1,
            Self::Resize { .. } => 2,
            Self::Command(_) => 3,
            Self::Marker(_) => 4,
            Self::Check(_) => 5,
            Self::Seat(_) => 6,
            Self::Join(_) => 7,
            Self::Exit { .. } => 8,
            Self::Keyframe { .. } => 9,
            Self::Lab(_) => 10,
            Self::Input(_) => 11,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    fn encode_payload(&self, out: &mut BytesMut) {
        fn json(out: &mut BytesMut, value: &impl Serialize) {
            serde_json::to_writer(out.writer(), value)
                .expect("our event types always serialise, and BytesMut never fails");
        }
        match self {
            Self::Output(b) | Self::Input(b) | Self::Unknown { payload: b, .. } => out.put_slice(b),
            Self::Resize { cols, rows } => {
                out.put_u16(*cols);
                out.put_u16(*rows);
            }
            Self::Keyframe { cols, rows, screen } => {
                out.put_u16(*cols);
                out.put_u16(*rows);
                out.put_slice(screen);
            }
            Self::Exit { status } => out.put_i32(*status),
            Self::Command(v) => json(out, v),
            Self::Marker(v) => json(out, v),
            Self::Check(v) => json(out, v),
            Self::Seat(v) => json(out, v),
            Self::Join(v) => json(out, v),
            Self::Lab(v) => json(out, v),
        }
    }

    fn decode(kind: u8, mut payload: Bytes) -> Option<Self> {
        Some(match kind {
            1 => Self::Output(payload),
            2 if payload.len() == 4 => Self::Resize {
                cols: payload.get_u16(),
                rows: payload.get_u16(),
            },
            3 => Self::Command(serde_json::from_slice(&payload).ok()?),
            4 => Self::Marker(serde_json::from_slice(&payload).ok()?),
            5 => Self::Check(serde_json::from_slice(&payload).ok()?),
            6 => Self::Seat(serde_json::from_slice(&payload).ok()?),
            7 => Self::Join(serde_json::from_slice(&payload).ok()?),
            8 if payload.len() == 4 => Self::Exit {
                status: payload.get_i32(),
            },
            9 if payload.len() >= 4 => Self::Keyframe {
                cols: payload.get_u16(),
                rows: payload.get_u16(),
                screen: payload,
            },
            10 => Self::Lab(serde_json::from_slice(&payload).ok()?),
            11 => Self::Input(payload),
            2 | 8 | 9 => return None,
            kind => Self::Unknown { kind, payload },
        })
    }
}

/// Turns journal bytes, in whatever pieces they come, into records. Knows the absolute offset.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    offset: u64,
}

impl Decoder {
    /// A decoder whose next byte is at journal offset `offset`, which must be a record's start.
    pub fn new(offset: u64) -> Self {
        Self {
            buffer: BytesMut::new(),
            offset,
        }
    }

    /// Offset of the next record's first byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset after the last byte pushed.
    pub fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Adds the bytes that follow what was pushed before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record, `None` when more bytes are needed. After an error the decoder must be dropped.
    pub fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        if self.buffer.len() < HEADER_BYTES {
            return Ok(None);
        }
        let at = self.offset;
        let len = u32::from_be_bytes(self.buffer[..4].try_into().expect("four bytes"));
        if len as usize > PAYLOAD_MAX {
            return Err(JournalError::TooLong { at, len });
        }
        let whole = HEADER_BYTES + len as usize;
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut bytes = self.buffer.split_to(whole).freeze();
        let payload = bytes.split_off(HEADER_BYTES);
        if checksum(&bytes[..24], &payload) != u32::from_be_bytes(bytes[24..28].try_into().expect("four bytes")) {
            return Err(JournalError::Checksum { at });
        }
        bytes.advance(4);
        let kind = bytes.get_u8();
        bytes.advance(1);
        let (terminal, time_us, offset) = (bytes.get_u16(), bytes.get_u64(), bytes.get_u64());
        let event = Event::decode(kind, payload).ok_or(JournalError::Payload { at, kind })?;
        self.offset += whole as u64;
        Ok(Some(Record {
            terminal,
            time_us,
            offset,
            event,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_any_cut_of_their_bytes() {
        let records = [
            Record {
                terminal: 0,
                time_us: 1,
                offset: 0,
                event: Event::Output(Bytes::from_static(b"\0\xff\x1b[0m")),
            },
            Record {
                terminal: 3,
                time_us: 2,
                offset: 6,
                event: Event::Resize { cols: 80, rows: 24 },
            },
            Record {
                terminal: 3,
                time_us: 2,
                offset: 6,
                event: Event::Exit { status: -1 },
            },
            Record {
                terminal: crate::WHOLE_SESSION,
                time_us: 9,
                offset: 0,
                event: Event::Lab(LabEvent::Failed {
                    code: "ready-timeout".into(),
                    detail: "é".into(),
                }),
            },
        ];
        let mut bytes = BytesMut::new();
        records.iter().for_each(|r| r.encode(&mut bytes));
        for cut in 0..=bytes.len() {
            let mut decoder = Decoder::new(100);
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                decoder.push(part);
                while let Some(r) = decoder.next_record().unwrap() {
                    seen.push(r);
                }
            }
            assert_eq!(seen, records);
            assert_eq!(decoder.offset(), 100 + bytes.len() as u64);
        }
    }

    #[test]
    fn a_changed_bit_is_named_by_the_records_offset() {
        let mut bytes = BytesMut::new();
        let record = Record {
            terminal: 0,
            time_us: 1,
            offset: 0,
            event: Event::Output(Bytes::from_static(b"hello")),
        };
        record.encode(&mut bytes);
        let first = bytes.len() as u64;
        record.encode(&mut bytes);
        *bytes.last_mut().unwrap() ^= 1;
        let mut decoder = Decoder::new(0);
        decoder.push(&bytes);
        assert_eq!(decoder.next_record().unwrap(), Some(record));
        assert_eq!(decoder.next_record(), Err(JournalError::Checksum { at: first }));
    }
}
