//! Bounds of one hub, with their arithmetic.

use lab_core::limits::FOLLOW_WINDOW_BYTES;
use std::time::Duration;

/// Tabs of a session's own learner: its lab in three windows on four screens, and a third of that left by a network that changed. A further one
/// closes the oldest (4409), as does one more of those who watch.
pub const TABS_MAX: usize = 16;

/// Everybody else who looks into one session: all teachers and coaches of a course, some of them twice. A wall looks by pictures and counts as
/// nobody. With the learner's, 80 tabs of 100 KB are 8 MB of a session, whoever asks for more.
pub const VIEWERS_MAX: usize = 64;

/// Messages in a browser's queue, either direction: one block of the channel (32 slots, about 2 KB), allocated when first used.
/// 32 outputs of 64 KiB are 2 MiB, four times the largest window, so that the window and not the queue decides.
pub const BROWSER_QUEUE: usize = 32;

/// Notices that wait for a browser whose queue is full. A class opening 64 terminals makes about as many; a browser that
/// takes none of 256 is closed (4429) and comes back with an empty queue.
pub const NOTICES_WAITING_MAX: usize = 256;

/// Commands to a hub: attach, tell, stop. Each is handled without waiting, so a handful would do; a wall's refresh adds one.
pub const COMMAND_QUEUE: usize = 64;

/// Largest piece of output handed to a browser at once.
pub const OUTPUT_PIECE_BYTES: usize = 64 * 1024;

/// Output at least this long is kept as the slice it came in; shorter is copied together. A slice may hold the whole frame
/// it came in (256 KiB): at 16 KiB the ring's memory is at most 16 times its contents, and a copy of 16 KiB costs 2 µs.
pub const SLICE_BYTES_MIN: usize = 16 * 1024;

/// Copied output is closed into a slice of about this length.
pub const TAIL_BYTES: usize = 32 * 1024;

/// Input of one writer in one terminal that the agent has not acknowledged: four of the longest messages. More means the
/// sandbox is away and someone pastes: the browser keeps it and sends it again when it comes back.
pub const INPUT_WAITING_BYTES_MAX: usize = 256 * 1024;

/// Bytes queued towards the agent above which browsers are not read: the same four messages.
pub const LINK_QUEUE_BYTES: usize = 256 * 1024;

/// The agent is told how far its terminals may run when that is by this part of the window more: in a flood every eighth of 512 KiB, which is every
/// second frame; what it may write meanwhile is never less than seven eighths.
pub const CREDIT_STEPS: u64 = 8;

/// The agent is told how far its journal was taken after so many bytes: a sixteenth of what it may send untold.
pub const TAKEN_STEP_BYTES: u64 = FOLLOW_WINDOW_BYTES / 16;

/// In-order notices (sizes, exits) kept per terminal for readers that are behind.
pub const MARKS_MAX: usize = 256;

/// Progress lines kept for the status.
pub const STEPS_MAX: usize = 20;

/// Between two words to a tab that types into a lab that stands still: a key that is held repeats thirty times a second.
pub const TOLD_STILL_EVERY: Duration = Duration::from_secs(1);

/// Label of a marker, in characters.
pub const MARKER_CHARS_MAX: usize = 200;

/// First and longest pause between attempts to reach an agent (full jitter below them). Until it has answered once, somebody
/// waits for a first prompt: 200 ms at most.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_UNMET: Duration = Duration::from_millis(200);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Connect, handshake and welcome together.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Three beats of 5 s missed: the line is half-open.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A stop: the agent takes at most 5 s for `durable`, the rest is for reaching it.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);
