//! Stage 5, recording: each hub's journal, copied to durable storage, in order, exactly once; and what is read of it later.
//!
//! ```text
//!            feed                  put              append (SQL)           durable
//!  hub ───────────────► pending ─────────► blob ─────────────────► chunk ────────────► agent may drop its copy
//!    validated records   ≤ 8 MiB   key = range      start = end, epoch ≥ last, chain
//! ```
//! The chunk's row is the truth. A crash after *put* leaves an object nobody names (removed when the recording is closed); a
//! crash after *append* is found by reading the recording's end again; a crash after *durable* loses nothing. Two recorders
//! are kept apart by the lease's epoch, and by the rule that a chunk starts where the last ended.
//!
//! The lease is taken when there is something to write and lapses when there is not: an idle session costs no statement.

mod export;
mod handle;
mod lag;
mod pending;
mod recorder;
mod recordings;
mod standby;
mod turns;
mod writer;

pub(crate) use export::fill;
pub use export::{EXPORT_PIECE_BYTES, EXPORT_PIECE_BYTES_MAX, ExportPieces};
pub use handle::{Feed, RecorderHandle, RecorderView};
pub use lag::{Lag, Lags};
pub(crate) use recordings::start_us;
pub use recordings::{READ_BYTES_MAX, Recordings};
pub use turns::{EXPORTS_MAX, INDEXES_MAX, PLACE_WAIT_MAX, RANGES_MAX, READS_EACH};
pub(crate) use writer::prefix as recording_prefix;

use std::time::Duration;

/// Bytes fed to a recorder that are not durable: four chunks, so that one is written while the next fills, and a hiccup of
/// the blob store of four seconds at 2 MB/s is not felt. 500 flooding sessions are 4 GB; 500 typing ones a few MB.
pub const BACKLOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Pieces under way from a hub to its recorder; each is at most one journal frame (256 KiB), so the bytes decide, not this.
pub(crate) const FEED_QUEUE: usize = 16;

/// How long a lease is held without renewal: what another replica waits before it takes over. Less than a stop waits for the last
/// record ([`FINISH_WITHIN`]), so that a recorder killed just then is replaced in time.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(6);

/// What a recorder says *durable* with once the store has said that the recording is over: no recorder will have a higher one, nobody takes the
/// lease for it any more, and the agent, which listens to the newest, must let go of its journal whichever replica is left.
pub(crate) const EPOCH_OF_CLOSED: u64 = u64::MAX;

/// A recorder that nobody looks through leaves a session's first bytes so long to one that somebody looks through: that one has met the
/// agent by then, as both do when the sandbox runs, and a page that is just opening has its socket within a second. Meanwhile the bytes
/// are where they are anyway, with the agent and in `pending`.
pub(crate) const YIELD: Duration = Duration::from_secs(2);

/// Another replica records: ask again this often …
pub(crate) const STANDBY_RETRY: Duration = Duration::from_secs(3);
/// … so often where somebody looks, to be first when the recorder's replica went: who looked through that one is here now …
pub(crate) const STANDBY_RETRY_WATCHED: Duration = Duration::from_secs(1);
/// … and so often once the journal has ended: somebody waits for its last record.
pub(crate) const STANDBY_HURRY: Duration = Duration::from_millis(200);

/// An upload that came to nothing three times in a row, each time other bytes than were sent, will not come right at the fourth: the
/// recording ends, loudly, and what is damaged lies in quarantine.
pub(crate) const CORRUPT_TRIES: u32 = 3;

/// First and longest pause between attempts to write a chunk.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);
/// See [`RETRY_FIRST`].
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(5);

/// After so long without a successful write …
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// … and with so much journal that nobody has but the agent, a best-effort recording is cut, loudly: at 64 MiB the agent would pause
/// the learner's terminals, and a learner is worth more than a recording nobody required. Three quarters of it: the rest is what
/// a flood (60 MB/s) writes in the quarter second until the agent hears of it. Someone who types makes 48 MiB in days: an outage
/// of five minutes, or of a night, costs such a recording nothing.
pub const GIVE_UP_BYTES: u64 = lab_core::limits::JOURNAL_UNDURABLE_BYTES_MAX / 4 * 3;

/// A store that refuses is an alarm after so long: a session whose recording is required must not end by a minute of maintenance.
/// Meanwhile nothing is lost: the agent keeps it, and holds its terminals back before it would have to drop anything.
pub(crate) const ALARM_AFTER: Duration = Duration::from_mins(10);

/// When this process ends, the last chunk is tried for so long: the agent has it too, and another process goes on.
pub(crate) const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// When a session ends nobody else has its last bytes: they are tried for so long.
pub(crate) const FINISH_PATIENCE: Duration = ALARM_AFTER;
