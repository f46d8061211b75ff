//! The one file the agent reads at start: `/labwire/spec.json` in the sandbox.

use crate::{CheckId, SessionId, TerminalId};
use serde::{Deserialize, Serialize};

/// Everything the agent needs to bring a lab up. Written by the runtime, read once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// Protocol version the orchestrator speaks, [`super::PROTOCOL_VERSION`].
    pub protocol: u16,
    pub session: SessionId,
    /// Files written before start.
    pub files: Vec<LabFileEntry>,
    /// Supervised command; the lab ends when it exits.
    pub start: Vec<String>,
    /// Polled until it exits with 0. Empty: ready at once.
    pub ready: Vec<String>,
    /// Milliseconds after which an unready lab has failed.
    pub ready_within_ms: u64,
    pub terminals: Vec<TerminalSpec>,
    pub checks: Vec<CheckSpec>,
    /// Whether typed bytes go into the journal.
    pub record_input: bool,
    /// Environment of `start`, checks and terminals.
    pub env: Vec<(String, String)>,
}

/// A file put into the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabFileEntry {
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    pub content: String,
}

/// How a terminal is recognised to wait for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminalKind {
    /// A shell with integration marks (OSC 133): commands with exit status.
    Shell,
    /// A router's command line: commands by prompt pattern.
    Router,
    /// A serial line of a machine.
    Serial,
}

/// One terminal of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSpec {
    pub id: TerminalId,
    pub kind: TerminalKind,
    /// Run in a PTY. Empty when there is a `socket`.
    pub command: Vec<String>,
    /// Unix socket to take instead: a machine's serial line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// Byte regex matched against the text of the cursor's line, up to the cursor.
    pub prompt: Option<String>,
}

/// One check of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    pub id: CheckId,
    pub command: Vec<String>,
    /// Killed (as not passed) after this many milliseconds.
    pub within_ms: u64,
    pub points: u32,
}
