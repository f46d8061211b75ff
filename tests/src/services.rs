//! The servers of this machine that several replicas share: a Postgres and an S3, started by the scripts that keep them.

use crate::{gate::Gate, machine::repository};
use anyhow::{Context, Result, ensure};
use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// A database of its own behind a gate on `ip`, and its address through that.
pub fn database(name: &str, ip: &str) -> Result<(Gate, String)> {
    let server = script("postgres", &["start"])?;
    psql(&server, &format!("create database \"{name}\""))?;
    let (credentials, place) = server
        .strip_prefix("postgres://")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(authority, _)| authority.split_once('@'))
        .context("scripts/postgres prints postgres://user:password@host:port/name")?;
    let gate = Gate::before(ip, place)?;
    let address = format!("postgres://{credentials}@{}/{name}", gate.address);
    Ok((gate, address))
}

/// A bucket of its own, and the gate on `ip` before its server.
pub async fn objects(bucket: &str, ip: &str) -> Result<Gate> {
    let server = script("s3", &["start"])?;
    let made = crate::client().put(format!("{server}/{bucket}")).send().await?;
    ensure!(made.status().is_success(), "cannot make the bucket: {}", made.status());
    let place = server
        .strip_prefix("http://")
        .context("scripts/s3 prints http://host:port")?;
    Gate::before(ip, place.trim_end_matches('/'))
}

/// Removes a database, if the server runs.
pub fn drop_database(name: &str) {
    if let Ok(server) = script("postgres", &["status"]) {
        let _ = psql(&server, &format!("drop database if exists \"{name}\" with (force)"));
    }
}

/// Runs one of `scripts/`; what it prints.
pub fn script(name: &str, args: &[&str]) -> Result<String> {
    let path: PathBuf = repository().join("scripts").join(name);
    let out = checked(
        Command::new(path).args(args).stdin(Stdio::null()),
        &format!("scripts/{name} {}", args.join(" ")),
    )?;
    Ok(out.trim().to_owned())
}

/// Runs a statement; the rows, without headings.
pub fn psql(address: &str, statement: &str) -> Result<String> {
    checked(
        Command::new("psql")
            .args([address, "-qAtc", statement])
            .stdin(Stdio::null()),
        "psql",
    )
}

/// Runs a program that must succeed; its standard output.
pub fn checked(command: &mut Command, what: &str) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| what.to_owned())?;
    ensure!(
        status.success(),
        "{what} ({status}): {}",
        String::from_utf8_lossy(&stderr).trim()
    );
    Ok(String::from_utf8(stdout)?)
}
