//! What a WebSocket bridge and the reconciler see of the hubs.

use bytes::Bytes;
use lab_core::{
    LoginId, SessionId, Subject, TerminalIndex, Timestamp, WriterId,
    launch::Role,
    terminal::{FromBrowser, ToBrowser},
};

/// Who attaches.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub login: LoginId,
    /// Whom the audit log names.
    pub subject: Subject,
    /// Shown to the others.
    pub name: String,
    pub role: Role,
    /// The session's own learner; operations never attach.
    pub owner: bool,
    /// Whether it may have the seat, and do anything else to the lab: the learner, and teachers where the plan includes coaching.
    pub may_type: bool,
    /// The tab as a source of input, already namespaced by login.
    pub writer: WriterId,
}

/// Browser → hub. The queue is bounded; a bridge that cannot put a message waits, which stops reading that socket only.
#[derive(Clone, Debug)]
pub enum ToHub {
    Control(FromBrowser),
    Input {
        terminal: TerminalIndex,
        seq: u64,
        bytes: Bytes,
    },
    Drawn {
        terminal: TerminalIndex,
        offset: u64,
    },
}

/// Hub → browser.
#[derive(Clone, Debug)]
pub enum FromHub {
    Control(Box<ToBrowser>),
    Output {
        terminal: TerminalIndex,
        offset: u64,
        bytes: Bytes,
    },
    Snapshot {
        terminal: TerminalIndex,
        offset: u64,
        cols: u16,
        rows: u16,
        screen: Bytes,
    },
    InputAck {
        terminal: TerminalIndex,
        seq: u64,
    },
    /// Close with this code (see `docs/protocol.md`); nothing follows.
    Close {
        code: u16,
        reason: &'static str,
    },
}

/// What the reconciler reads of a hub: facts from the agent, no intent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubStatus {
    /// The agent answered at least once.
    pub met: bool,
    /// A connection is up now.
    pub connected: bool,
    /// First prompt, agent clock.
    pub ready_us: Option<u64>,
    /// When the agent answered for the first time, agent clock: from here on somebody could use that prompt.
    pub met_us: Option<u64>,
    /// Latest time heard from the agent, agent clock.
    pub last_us: u64,
    /// Latest key typed, our clock.
    pub active_at: Option<Timestamp>,
    /// The lab said it failed: (code, detail).
    pub failed: Option<(String, String)>,
    /// The lab's start command ended by itself.
    pub exited: Option<i32>,
    /// The journal's last record (`stopping`) was seen, at this agent time.
    pub stopped_us: Option<u64>,
    /// Progress lines from the lab, oldest first, at most 20.
    pub steps: Vec<String>,
    /// What the agent was told last over the connection that is up: to stand still, or to go on.
    pub frozen: Option<bool>,
    /// The recording cannot be kept now: the error's code.
    pub recording_error: Option<&'static str>,
}

/// A changed session for the hub to tell its browsers; given by provisioning and metering.
#[derive(Clone, Debug)]
pub struct SessionNews {
    pub session: SessionId,
    pub notice: ToBrowser,
}
