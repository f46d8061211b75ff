//! What every adapter of a port must keep, written once and run against each.

pub mod blobs;
pub mod runtime;
pub mod store;
