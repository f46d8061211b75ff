//! Labwire's nouns, rules, byte machinery and ports. Pure: no I/O, no clock, no randomness, no executor.
//!
//! The flow has seven stages, each a module here with the same name in every other layer:
//! [`launch`] → [`entitlement`] → [`provisioning`] → [`terminal`] → [`recording`] → [`live`] → [`metering`].
//! Beside them, [`grading`] takes what checks are worth back to the course. Around them: [`lab`] (what can run), [`agent`] (what the program inside a sandbox is told), [`journal`] (the
//! byte-numbered log all of terminal, recording and live read), [`operations`] (the whole installation), [`courses`] (their dates and their people), and [`port`] (what the
//! outside must offer).

pub mod agent;
pub mod courses;
pub mod csv;
pub mod entitlement;
pub mod grading;
pub mod hours;
pub mod html;
pub mod ids;
pub mod journal;
pub mod lab;
pub mod launch;
pub mod limits;
pub mod live;
pub mod metering;
mod nearest;
pub mod operations;
pub mod port;
pub mod privacy;
pub mod provisioning;
pub mod recording;
pub mod terminal;
pub mod time;

pub use ids::*;
pub use nearest::nearest;
pub use time::Timestamp;
