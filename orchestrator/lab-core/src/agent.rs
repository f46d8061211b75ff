//! What an agent is told when its sandbox starts, and the messages of its protocol (`docs/protocol.md`).

mod message;
mod spec;

pub use message::*;
pub use spec::*;
