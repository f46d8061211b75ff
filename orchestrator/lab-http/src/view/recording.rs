//! A recording's index: what a replay needs before its first byte.

use lab_core::recording::{RecordingHead, RecordingIndex, RecordingState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The index of a recording.
#[derive(Serialize, ToSchema)]
pub struct RecordingView {
    /// `open`, `complete`, `cut`, `removed`.
    pub state: String,
    /// With `cut`: why.
    pub reason: Option<String>,
    /// Journal bytes that are durable.
    pub end: u64,
    pub chunks: u64,
    /// Microseconds from the agent's start to its last record.
    pub duration_us: u64,
    /// Where a replay begins, by the same clock: 0, or, of a sandbox that was warm before its session, the session's begin.
    pub start_us: u64,
    pub terminals: Vec<RecordedTerminalView>,
    pub markers: Vec<MarkerView>,
    pub keyframes: Vec<KeyframeView>,
}

impl RecordingView {
    /// Of its head and its index.
    pub(crate) fn new(head: &RecordingHead, index: RecordingIndex) -> Self {
        let (state, reason) = match &head.state {
            RecordingState::Open => ("open", None),
            RecordingState::Complete { .. } => ("complete", None),
            RecordingState::Cut { reason, .. } => ("cut", Some(reason.clone())),
            RecordingState::Removed { .. } => ("removed", None),
        };
        let terminals = index.terminals.into_iter().map(|t| RecordedTerminalView {
            id: t.id,
            terminal: t.terminal,
            output: t.output,
            cols: t.cols,
            rows: t.rows,
        });
        let markers = index.markers.into_iter().map(|m| MarkerView {
            at_us: m.at_us,
            journal: m.journal,
            terminal: m.terminal,
            kind: m.kind,
            text: m.text,
            status: m.status,
            took_us: m.took_us,
        });
        let keyframes = index.keyframes.into_iter().map(|k| KeyframeView {
            at_us: k.at_us,
            journal: k.journal,
            terminal: k.terminal,
            offset: k.offset,
        });
        Self {
            state: state.to_owned(),
            reason,
            end: index.end,
            chunks: head.chunks,
            duration_us: index.duration_us,
            start_us: index.start_us,
            terminals: terminals.collect(),
            markers: markers.collect(),
            keyframes: keyframes.collect(),
        }
    }
}

/// A terminal of a recording.
#[derive(Serialize, ToSchema)]
pub struct RecordedTerminalView {
    pub id: String,
    /// Its number in journal records.
    pub terminal: u16,
    /// Output bytes recorded.
    pub output: u64,
    /// Size at the start, 0 when nothing was recorded.
    pub cols: u16,
    pub rows: u16,
}

/// A point of a recording to jump to.
#[derive(Serialize, ToSchema)]
pub struct MarkerView {
    /// Agent clock.
    pub at_us: u64,
    /// Journal offset of its record.
    pub journal: u64,
    /// 65535: the whole session.
    pub terminal: u16,
    /// `command`, `check`, `marker`, `resize`, `exit`.
    pub kind: String,
    pub text: String,
    /// Exit status of a command or terminal; 1 or 0 for a check that passed or not.
    pub status: Option<i32>,
    /// How long a command ran. With this or `status` it is a command's end, told after its beginning; a router's has no status.
    pub took_us: Option<u64>,
}

/// A whole screen: where a replay may start.
#[derive(Serialize, ToSchema)]
pub struct KeyframeView {
    pub at_us: u64,
    pub journal: u64,
    pub terminal: u16,
    /// Output offset it shows.
    pub offset: u64,
}

/// Which journal bytes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JournalQuery {
    /// First byte; 0 when missing.
    pub from: Option<u64>,
    /// After the last byte; the answer is at most 4 MiB, so ask on from where it ended.
    pub to: Option<u64>,
}

/// What kind of file, of which terminal.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `asciicast-v2`, `asciicast-v3`, `text`; or `journal`: everything, byte by byte as it was recorded.
    pub format: String,
    /// The terminal's id, e.g. `r1`; a `journal` has all of them.
    pub terminal: Option<String>,
}
