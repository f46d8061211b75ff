//! The controller on a real cluster: the one of `KUBECONFIG`, else the one of `scripts/cluster`. Fails when there is none.

// why allowed: this whole program is tests; clippy knows only functions marked so
#![allow(clippy::unwrap_used)]

#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/leaders.rs"]
mod leaders;
#[path = "cluster/lifecycle.rs"]
mod lifecycle;
#[path = "cluster/rig.rs"]
mod rig;
#[path = "cluster/trouble.rs"]
mod trouble;
