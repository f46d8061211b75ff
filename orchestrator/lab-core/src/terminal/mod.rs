//! Stage 4, terminal: what a browser and the orchestrator say to each other, and who may slow whom.

mod message;
mod window;

pub use message::*;
pub use window::*;
