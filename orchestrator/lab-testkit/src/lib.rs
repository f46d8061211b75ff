//! What tests share: fakes of every port, planned failures, and the contract suites that every adapter must pass.
//!
//! Depends on `lab-core` only, so that nothing under test is needed to build it.

pub mod fake_agent;
mod fake_blobs;
mod fake_clock;
mod fake_platform;
mod fake_runtime;
mod fake_store;
mod faults;

pub use fake_agent::FakeAgent;
pub use fake_blobs::FakeBlobs;
pub use fake_clock::{FakeEntropy, ManualClock, TokioClock};
pub use fake_platform::FakePlatform;
pub use fake_runtime::{FakeRuntime, Script};
pub use fake_store::FakeStore;
pub use faults::{Faults, Planned, Strike};

pub mod contract;
