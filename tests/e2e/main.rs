//! Labwire from outside, with everything real: the binary, the database, the agents, the engine, the shipped labs.
//!
//! `flow` is what people do, `labs` proves the shipped labs with their solutions, `chaos` and `database` are what goes wrong. Tests whose
//! name begins with `docker_` share one engine (see `.config/nextest.toml`).

mod accounts;
mod chaos;
mod cluster;
mod database;
mod flow;
mod hostile;
mod labs;
mod lti;
mod pools;
mod privacy;
mod replicas;
mod staff;
