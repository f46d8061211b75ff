//! The runtime contract on a real cluster, the one of `KUBECONFIG`, else the one of `scripts/cluster`, with a controller of this process.
//! Fails when there is none.

// why allowed: this whole program is tests; clippy knows only functions marked so
#![allow(clippy::unwrap_used)]

#[path = "contract/gate.rs"]
mod gate;
#[path = "contract/own.rs"]
mod own;
#[path = "contract/rig.rs"]
mod rig;

lab_testkit::runtime_contract!(rig::Rig::new().await);
