//! Stage 7, metering: time is held ahead, counted from the first prompt, and settled by the sandbox's own clock.
//!
//! ```text
//!   admitted          first prompt                                        stop
//!      │ hold 15 min      │◄── meter: every second, of every usable session ──►│ settle: hold → used, the rest back
//!      └──────────────────┤  extend the hold · warn 10, 5, 1 · stop idle,       └─ (the reconciler, while Stopping)
//!                         │  or late sessions, freeze spent ones · keep the
//!                         │  agent's clock
//! ```
//! A spent session stands still (`Frozen`): its agent stops its processes, on every runtime alike; its terminals stay readable, and
//! nothing is counted. As soon as its learner has time again it goes on in the same shells; after the grace it ends.
//!
//! Which limit is nearest is decided in `limits`, from times alone; [`Meter`] reads, acts and remembers what it has said.
//! What an administration sees is beside it: [`statement`]s, and [`Accounts`], which reconciles the ledger daily and tells whom it concerns
//! that time or a budget runs low (`news` is the words, an outbox in the store the memory).
//!
//! Nothing it remembers is needed: after a restart it says a warning once more at worst.

mod accounts;
mod extend;
mod limits;
mod meter;
mod news;
mod notice;
mod reconcile;
mod settle;
mod statement;

pub(crate) use accounts::Accounts;
pub use accounts::{AlertSettings, Webhook};
pub use extend::EXTENSION;
pub use limits::{FREEZE_GRACE, FREEZES_MAX, Limit, Limits, MAX_TIMES, Rules, frozen_end, nearest};
pub use meter::Meter;
pub use reconcile::reconcile;
pub(crate) use settle::settlement;
pub use statement::{Language, StatementFile, StatementFormat, statement};
