//! Messages between a browser and the orchestrator, over one WebSocket per tab: text frames are JSON, binary frames carry
//! terminal bytes. See `docs/protocol.md`; golden fixtures hold the TypeScript client to the same bytes.

use crate::{
    CheckId, TerminalId, TerminalIndex,
    agent::{FrameError, open},
    journal::{CheckOutcome, Command},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Version of the browser's protocol; also the WebSocket subprotocol `labwire.v1`.
pub const BROWSER_PROTOCOL: &str = "labwire.v1";

/// Browser → orchestrator, as JSON text frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromBrowser {
    /// Show a terminal. `from`: the output offset up to which this tab has drawn; none asks for a snapshot. `seat`: wants to type.
    Attach {
        terminal: TerminalIndex,
        #[serde(default)]
        from: Option<u64>,
        #[serde(default)]
        seat: bool,
        cols: u16,
        rows: u16,
    },
    Detach {
        terminal: TerminalIndex,
    },
    Resize {
        terminal: TerminalIndex,
        cols: u16,
        rows: u16,
    },
    /// Take or release the right to type.
    Seat {
        terminal: TerminalIndex,
        take: bool,
    },
    Restart {
        terminal: TerminalIndex,
    },
    /// Run one check, or all.
    Check {
        #[serde(default)]
        check: Option<CheckId>,
    },
    /// Put a named point into the journal.
    Marker {
        terminal: TerminalIndex,
        label: String,
    },
    /// Keep-alive and round-trip time; answered by `pong` with the same number.
    Ping {
        t: u64,
    },
}

/// Orchestrator → browser, as JSON text frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToBrowser {
    /// First message: where the session stands. Sent again when it changes.
    Session(SessionNotice),
    /// The terminals, once the agent answers, and again after it was away.
    Terminals {
        terminals: Vec<TerminalNotice>,
    },
    Resize {
        terminal: TerminalIndex,
        cols: u16,
        rows: u16,
        offset: u64,
    },
    Command {
        terminal: TerminalIndex,
        command: Command,
        at_us: u64,
    },
    Exit {
        terminal: TerminalIndex,
        status: i32,
    },
    Seat {
        terminal: TerminalIndex,
        seat: SeatNotice,
    },
    /// Last outcome of every check that ran; `running` while a run is under way.
    Checks {
        outcomes: Vec<CheckOutcome>,
        running: bool,
    },
    /// Who watches now, other than this tab.
    Viewers {
        viewers: Vec<ViewerNotice>,
    },
    /// Lab time, sent at least every 30 s and at each warning.
    Time(TimeNotice),
    /// Something was refused; `code` is public and documented.
    Error {
        code: String,
        message: String,
    },
    Pong {
        t: u64,
    },
    /// This server goes away: reconnect after so many milliseconds.
    GoAway {
        after_ms: u32,
    },
}

/// Where a session stands, for its learner and its viewers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNotice {
    pub session: crate::SessionId,
    /// `requested`, `queued`, `provisioning`, `ready`, `frozen`, `stopping`, `ended`, `failed`.
    pub state: String,
    /// Why it ended or failed, as a code (`idle-timeout`, `budget-spent`, `sandbox-lost` …).
    pub reason: Option<String>,
    /// What a learner can pass on when it failed.
    pub detail: Option<String>,
    /// Provisioning steps so far, oldest first, as codes or the lab's own words.
    pub steps: Vec<StepNotice>,
    /// Place in the queue, 1 is next.
    pub queue: Option<u32>,
    /// Why the sandbox, which is made, does not run yet: `capacity`, `quota`, `image`, `refused`.
    #[serde(default)]
    pub waiting: Option<String>,
    /// True while the agent cannot be reached (the shells go on).
    pub away: bool,
}

/// One line of the progress list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNotice {
    /// `requested`, `hold`, `image`, `sandbox`, `agent`, `lab`, `ready`, or text from the lab.
    pub step: String,
    /// Milliseconds since the click.
    pub at_ms: u64,
}

/// A terminal as a browser sees it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalNotice {
    pub id: TerminalId,
    pub cols: u16,
    pub rows: u16,
    pub exited: Option<i32>,
    pub seat: SeatNotice,
}

/// Who may type, seen from one tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatNotice {
    /// `you`, `other`, `nobody`.
    pub holder: String,
    /// Name and role of the other.
    pub name: String,
    pub role: String,
}

/// Someone who watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerNotice {
    pub name: String,
    pub role: String,
}

/// Lab time left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeNotice {
    /// Seconds until the session stops by the nearest limit; none when nothing limits it yet.
    pub left_s: Option<u64>,
    /// `time`, `budget`, `idle`: which limit that is. `frozen`: it stands still since its time ran out, and stops then.
    pub limit: Option<String>,
    /// Minutes of the warning this is (10, 5, 1).
    pub warn: Option<u32>,
    /// Seconds used so far in this session.
    pub used_s: u64,
    /// Seconds left on the learner's grants beyond this session's hold.
    pub budget_s: u64,
    /// How much of what the learner was given in this course is spent, 0 to 100; from 80 on the page says so.
    #[serde(default)]
    pub spent_percent: u8,
    /// Whether the learner may extend now.
    pub extendable: bool,
}

/// Payload is raw DEFLATE.
pub const FLAG_DEFLATE: u8 = 1;

/// Binary frames between browser and orchestrator. The first byte is the kind, integers are big endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserFrame {
    /// → browser: output from this offset. `11 flags:u8 terminal:u16 offset:u64 bytes`
    Output {
        flags: u8,
        terminal: TerminalIndex,
        offset: u64,
        bytes: Bytes,
    },
    /// → browser: reset the terminal to this, then go on from `offset`. `12 flags:u8 terminal:u16 offset:u64 cols:u16 rows:u16 bytes`
    Snapshot {
        flags: u8,
        terminal: TerminalIndex,
        offset: u64,
        cols: u16,
        rows: u16,
        screen: Bytes,
    },
    /// browser →: numbered input. `13 terminal:u16 seq:u64 bytes`; `seq` starts at 1 per tab and terminal
    Input {
        terminal: TerminalIndex,
        seq: u64,
        bytes: Bytes,
    },
    /// → browser: input up to and including `seq` is in the shell. `14 terminal:u16 seq:u64`
    InputAck { terminal: TerminalIndex, seq: u64 },
    /// browser →: everything below this output offset is drawn. `15 terminal:u16 offset:u64`
    Drawn { terminal: TerminalIndex, offset: u64 },
}

impl BrowserFrame {
    /// Encodes as one binary message.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Output {
                flags,
                terminal,
                offset,
                bytes,
            } => {
                out.reserve(12 + bytes.len());
                out.put_u8(0x11);
                out.put_u8(*flags);
                out.put_u16(*terminal);
                out.put_u64(*offset);
                out.put_slice(bytes);
            }
            Self::Snapshot {
                flags,
                terminal,
                offset,
                cols,
                rows,
                screen,
            } => {
                out.reserve(16 + screen.len());
                out.put_u8(0x12);
                out.put_u8(*flags);
                out.put_u16(*terminal);
                out.put_u64(*offset);
                out.put_u16(*cols);
                out.put_u16(*rows);
                out.put_slice(screen);
            }
            Self::Input { terminal, seq, bytes } => {
                out.put_u8(0x13);
                out.put_u16(*terminal);
                out.put_u64(*seq);
                out.put_slice(bytes);
            }
            Self::InputAck { terminal, seq: number }
            | Self::Drawn {
                terminal,
                offset: number,
            } => {
                out.put_u8(if matches!(self, Self::InputAck { .. }) {
                    0x14
                } else {
                    0x15
                });
                out.put_u16(*terminal);
                out.put_u64(*number);
            }
        }
        out.freeze()
    }

    /// Decodes one binary message; the payload shares the message's memory.
    pub fn decode(mut f: Bytes) -> Result<Self, FrameError> {
        let kind = open(&mut f, |kind| match kind {
            0x11 => Some(11),
            0x12 => Some(15),
            0x13..=0x15 => Some(10),
            _ => None,
        })?;
        Ok(match kind {
            0x11 => Self::Output {
                flags: f.get_u8(),
                terminal: f.get_u16(),
                offset: f.get_u64(),
                bytes: f,
            },
            0x12 => Self::Snapshot {
                flags: f.get_u8(),
                terminal: f.get_u16(),
                offset: f.get_u64(),
                cols: f.get_u16(),
                rows: f.get_u16(),
                screen: f,
            },
            0x13 => Self::Input {
                terminal: f.get_u16(),
                seq: f.get_u64(),
                bytes: f,
            },
            0x14 => Self::InputAck {
                terminal: f.get_u16(),
                seq: f.get_u64(),
            },
            _ => Self::Drawn {
                terminal: f.get_u16(),
                offset: f.get_u64(),
            },
        })
    }
}
