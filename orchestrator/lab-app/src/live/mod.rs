//! Stage 6, live: a course at a glance, for every teacher who looks.
//!
//! One task per watched course, however many teachers watch; none when nobody does. It reads the store twice a second, the
//! hubs' published facts for nothing, and asks an agent for a picture only when that session has written since the last one.

mod wall;

pub use wall::{Wall, WallUpdate};
