//! Labwire's state: SQL by sqlx (SQLite, Postgres) and recordings' bytes by `object_store`. The only crate that knows either.
//!
//! ```text
//!  store      the port, one line an operation ─► db (connections, transactions, retries) ─► dialect (what differs)
//!  launch, lti, entitlement, provisioning, pool, metering, recording, …    the operations' bodies, by stage
//!  accounts   the port of the administration: statement, alerts, costs, reconciliations
//!  ledger     posting transactions and reading balances; the only module that writes entries
//!  privacy/   notices, who looked, what is to go, one person's all
//!  migrate    the schema, in ../migrations
//!  blobs      the other port; s3 is its bucket
//!  hints      what replicas tell each other through Postgres
//! ```

mod accounts;
mod alerts;
mod audit;
mod blobs;
mod brand;
mod checks;
mod costs;
mod course_counts;
mod courses;
mod days;
mod db;
mod dialect;
mod entitlement;
mod error;
mod givers;
mod grades;
mod hints;
mod labs;
mod launch;
mod leases;
mod ledger;
mod lti;
mod metering;
mod migrate;
mod operations;
mod orders;
mod plans;
mod platforms;
mod pool;
mod privacy;
mod provisioning;
mod recording;
mod row;
mod s3;
mod staff;
mod statement;
mod store;
mod voucher_terms;
mod vouchers;

pub use blobs::ObjectBlobs;
pub use s3::S3Options;
pub use store::{SqlStore, StoreOptions};
