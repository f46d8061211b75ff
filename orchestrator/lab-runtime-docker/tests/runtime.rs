//! The runtime contract on a container engine, and what only containers promise.

// why allowed: this whole program is tests; clippy knows only functions marked so
#![allow(clippy::unwrap_used)]

#[path = "runtime/engine.rs"]
mod engine;
#[path = "runtime/isolation.rs"]
mod isolation;
#[path = "runtime/outage.rs"]
mod outage;
#[path = "runtime/partial.rs"]
mod partial;
#[path = "runtime/rig.rs"]
mod rig;
#[path = "runtime/speed.rs"]
mod speed;

lab_testkit::runtime_contract!(rig::Rig::new().await);
