//! One test binary: the contracts on both databases and on a directory, and what only a database or a disk can get wrong.

#![allow(clippy::unwrap_used, reason = "tests; their helpers too")]

mod blobs;
mod crash;
mod postgres;
mod privacy;
mod s3;
mod schema;
mod speed;
mod sqlite;
mod told;
mod traces;
mod writes;
