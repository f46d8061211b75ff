//! Sandboxes as pods.
//!
//! ```text
//!  serve ── runtime/ ──apply──► LabSandbox ◄──watch── controller/ ──apply──► Pod, Secrets, NetworkPolicy
//!     └───────────────────── TLS to the pod's agent: no byte of a terminal goes through the API server
//! ```
//! `api.rs` is the resource that both halves share. `runtime/` is `lab_core::port::Runtime` (in `labwire serve`); `controller/` runs
//! once for the installation (in `labwire controller`). This crate alone knows `kube`.

pub mod api;
pub mod controller;
mod requests;
pub mod runtime;
