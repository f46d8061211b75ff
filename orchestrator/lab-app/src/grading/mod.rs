//! Grades go back to the course: the outbox is worked under a lease, one platform beside the other, each platform's grades one after another.
//!
//! ```text
//!  launch (`launch/lti/arrive.rs`): where ─┐              ┌─ a turn of one platform's rows ─► [`send`]: token, line item, score, results
//!                                          ├─► rows ─► [`Outbox`]
//!  check kept (`check_record`): what ──────┘              └─ … of another's
//! ```

mod outbox;
mod send;
mod turn;

pub use outbox::Outbox;
