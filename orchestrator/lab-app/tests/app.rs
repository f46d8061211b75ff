//! `lab-app` against doubles of its ports.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails, as it should")]
mod control_plane;
mod data_plane;
