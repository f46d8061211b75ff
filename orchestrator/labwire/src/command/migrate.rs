//! `labwire migrate`.

use crate::{config::Config, wire};
use anyhow::{Context, Result};
use clap::Args;
use lab_store::SqlStore;
use secrecy::ExposeSecret;
use std::process::ExitCode;

/// Bring the database's schema up to date, and end
///
/// The step before a new version of several replicas. The version before goes on with the new schema meanwhile; a second call changes
/// nothing.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  LABWIRE_DATABASE=postgres://owner@db/labwire labwire migrate --serve-role labwire_serve"
)]
pub struct MigrateArgs {
    /// Postgres: let this role do what `labwire serve` does and no more. Of the ledger it may only add and read rows
    #[arg(long, value_name = "ROLE")]
    serve_role: Option<String>,
}

pub async fn run(config: &Config, args: MigrateArgs) -> Result<ExitCode> {
    if config.single_process() {
        wire::make_dir(&config.data_dir)?;
    }
    let migrated = SqlStore::migrate(config.database.expose_secret()).await;
    let (from, to) = migrated.context("cannot migrate the database (setting: database)")?;
    if from == to {
        println!("The database is up to date (schema {to}).");
    } else {
        println!("The database is migrated (schema {from} to {to}).");
    }
    if let Some(role) = &args.serve_role {
        let admitted = SqlStore::admit_role(config.database.expose_secret(), role).await;
        admitted.with_context(|| format!("--serve-role {role}: cannot give it its rights"))?;
        println!("{role} may serve; of the ledger it may only add and read rows.");
    }
    Ok(ExitCode::SUCCESS)
}
