//! Stage 3, provisioning: a session's life.
//!
//! ```text
//!            ┌──────────────► Queued ─┐
//!  Requested ┴────────────────────────┴► Provisioning ─► Ready ⇄ Frozen
//!      │                 │                    │            │       │
//!      │                 │                    ▼            ▼       ▼
//!      └────────┬────────┘                 Failed       Stopping(reason)
//!               ▼                             ▲            │
//!        Stopping(reason) ────────────────────┼────────────┴► Ended(reason)
//!                                             └ from Requested, Queued, Provisioning only
//! ```
//! A usable session whose sandbox vanished is `Stopping` by a loss ([`EndReason::is_loss`]) too, though nothing is left to stop: settlement happens
//! there, so that a crash between any two steps is repeated and not skipped.

mod pool;
mod state;

pub use pool::*;
pub use state::*;
