//! Every limit of Labwire's core, with its arithmetic.

use std::time::Duration;

/// Largest lab file accepted. The two shipped labs are about 15 KB; 256 KB leaves room for long bilingual instructions
/// and is far below what the YAML parser needs to be bothered about.
pub const LAB_FILE_BYTES_MAX: usize = 256 * 1024;

/// Terminals in one lab: a class of labs with 24 consoles is the largest seen; 64 keeps indexes small.
pub const TERMINALS_MAX: usize = 64;

/// Output bytes in one journal record: 64 KiB is one large PTY read; smaller keeps latency, larger gains nothing.
pub const RECORD_PAYLOAD_MAX: usize = 64 * 1024;

/// Largest message of the agent's protocol: one journal frame (256 KiB) or a snapshot (64 KiB), plus headers.
pub const AGENT_FRAME_MAX: usize = 512 * 1024;

/// Journal bytes in one frame to a follower.
pub const JOURNAL_FRAME_BYTES: usize = 256 * 1024;

/// Largest message a browser may send: a 64 KiB paste plus header.
pub const BROWSER_FRAME_MAX: usize = 80 * 1024;

/// Bytes in one input message; a longer paste is cut into several by the page.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Journal kept on the sandbox's disk after the recorder has it, for late readers: 8 MiB, 16 times the largest window.
pub const JOURNAL_KEEP_BYTES: u64 = 8 * 1024 * 1024;

/// Journal the agent may hold that no recorder has made durable yet. At 64 MiB terminals are paused (flow control, not
/// loss): at the sustained rate below that is over two minutes without any orchestrator.
pub const JOURNAL_UNDURABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Journal bytes sent to one follower and not yet acknowledged by it.
pub const FOLLOW_WINDOW_BYTES: u64 = 2 * 1024 * 1024;

/// Snapshot sent to a late joiner: at most 64 KiB, screen first, then as many scrollback lines as fit.
pub const SNAPSHOT_BYTES_MAX: usize = 60 * 1024;

/// Ring of recent output per terminal in the orchestrator, for resume by offset without asking the agent.
pub const RING_BYTES_MAX: usize = 1024 * 1024;

/// The browser's window is bounded in time, not bytes: what may be under way is what the browser drew in the last 80 ms,
/// between these. 32 KiB at 0.5 MB/s is 64 ms (Ctrl-C stays under 150 ms); 512 KiB at 40 MB/s is 13 ms.
pub const WINDOW_BYTES_MIN: u64 = 32 * 1024;
/// See [`WINDOW_BYTES_MIN`].
pub const WINDOW_BYTES_MAX: u64 = 512 * 1024;
/// See [`WINDOW_BYTES_MIN`].
pub const WINDOW_TIME: Duration = Duration::from_millis(80);

/// The window of a browser whose connection broke (its own, or its orchestrator's to the agent) holds this long: an
/// orchestrator that is restarted is back within 3 s, a phone that changes networks within 8 s, and finds its exact bytes. A
/// program that floods is held up by that much at most when its learner closes the page.
pub const CREDIT_KEPT: Duration = Duration::from_secs(10);

/// Terminal sizes accepted; what is outside is clamped. 1×1 is the least a PTY takes; 500×300 is four 4K screens of text.
pub const COLS_MAX: u16 = 500;
/// See [`COLS_MAX`].
pub const ROWS_MAX: u16 = 300;

/// A chunk of recording is made durable when it has this many bytes (file, directory and row are synced: 20 to 30 ms, so a
/// flood of 60 MB/s is kept up with) …
pub const CHUNK_BYTES: usize = 2 * 1024 * 1024;
/// … or is this old: what a lost sandbox can take with it.
pub const CHUNK_AGE: Duration = Duration::from_millis(250);

/// Journal of one session that is recorded, unless an installation says otherwise (`limits.recording_bytes_max`). An hour of somebody who
/// types is some MB, and a console that prints 100 KB/s without a pause for three hours is 1 GB: what is more is a program that floods
/// (60 MB/s), for which nobody watches the recording. 40 floods at once (the default of `limits.sandboxes_max`) fill 40 GiB, and no more.
pub const RECORDING_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Least that an installation may allow: a session that is only looked at has some 100 KB, and a frame of the journal has to fit.
pub const RECORDING_BYTES_MIN: u64 = 1024 * 1024;

/// Numbered-input writers an agent remembers per terminal: a learner's tabs and a few teachers.
pub const WRITERS_MAX: usize = 64;

/// A check's output kept for the learner to read.
pub const CHECK_DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Length of a command's text kept in the journal.
pub const COMMAND_BYTES_MAX: usize = 4 * 1024;

/// The agent says that it lives this often; metering of a lost sandbox ends at the last one.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Path of a serial line's socket: a Unix address holds 107 and its end, and a runtime may put a root of up to 27 before it.
pub const SOCKET_PATH_BYTES_MAX: usize = 80;

const _: () = assert!(JOURNAL_FRAME_BYTES + 1024 <= AGENT_FRAME_MAX);
const _: () = assert!(SNAPSHOT_BYTES_MAX + 1024 <= AGENT_FRAME_MAX);
const _: () = assert!(WINDOW_BYTES_MAX < RING_BYTES_MAX as u64);
const _: () = assert!((RING_BYTES_MAX as u64) < JOURNAL_KEEP_BYTES);
const _: () = assert!((JOURNAL_FRAME_BYTES as u64) < RECORDING_BYTES_MIN && RECORDING_BYTES_MIN < RECORDING_BYTES_MAX);
const _: () = assert!(INPUT_BYTES_MAX < BROWSER_FRAME_MAX);
