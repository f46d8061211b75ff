//! Drives Labwire's rules: sees only ports. One task owns one thing; every queue is bounded; every task is joined at shutdown.
//!
//! The seven stages, in the order of the flow: [`launch`] makes logins of links, [`entitlement`] admits, [`provisioning`] reconciles
//! sessions with sandboxes, [`terminal`] holds one hub per running session, [`recording`] copies each hub's journal to durable
//! storage, [`live`] shows a course, [`metering`] settles. Beside them, [`grading`] takes grades back to courses,
//! [`courses`] reads and writes lists of people, [`operations`] shows the whole installation, and [`privacy`] tells people what is kept of them, hands it out and lets it go.

mod app;
pub mod courses;
pub mod entitlement;
mod error;
pub mod grading;
pub mod launch;
mod lease;
pub mod live;
pub mod metering;
mod metrics;
pub mod operations;
mod pace;
mod ports;
pub mod privacy;
pub mod provisioning;
pub mod recording;
mod tasks;
pub mod terminal;

pub use app::App;
pub use error::{AppError, Refused};
pub use metrics::Metrics;
pub use ports::{Ports, Settings};
pub use tasks::{SHUTDOWN_MAX, TaskDied};
