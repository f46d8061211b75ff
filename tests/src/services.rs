//! The servers of this machine that several replicas share: a Postgres and an S3, started by the scripts that keep them.

use crate::{eventually, gate::Gate, machine::repository};
use anyhow::{Context, Result, ensure};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A database of its own on this machine's server for tests, behind a gate on `ip`, and its address through that.
pub fn database(name: &str, ip: &str) -> Result<(Gate, String)> {
    database_on(&script("postgres", &["start"])?, name, ip)
}

/// [`database`], on the server at this address.
pub(crate) fn database_on(server: &str, name: &str, ip: &str) -> Result<(Gate, String)> {
    psql(server, &format!("create database \"{name}\""))?;
    let (credentials, place) = parts(server)?;
    let gate = Gate::before(ip, place)?;
    let address = format!("postgres://{credentials}@{}/{name}", gate.address);
    Ok((gate, address))
}

/// Credentials, and host with port.
pub(crate) fn parts(server: &str) -> Result<(&str, &str)> {
    server
        .strip_prefix("postgres://")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(authority, _)| authority.split_once('@'))
        .context("scripts/postgres prints postgres://user:password@host:port/name")
}

/// Another database of the same server.
pub(crate) fn beside(server: &str, name: &str) -> Result<String> {
    let (authority, _) = server.rsplit_once('/').context("an address")?;
    Ok(format!("{authority}/{name}"))
}

/// A Postgres of a test's own, to be killed and started again without touching anybody else's. It is gone, data and all, when dropped.
pub struct Postgres {
    dir: TempDir,
    address: String,
}

impl Postgres {
    /// Makes its data and starts it.
    pub fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("lw-pg-").tempdir()?;
        // the server runs as another user, and must find its folder
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let address = scripted(dir.path(), "start")?;
        // a commit is on disk before it is confirmed, as everywhere but on the tests' common server, which is quicker without
        psql(&address, "alter role current_user set synchronous_commit = on")?;
        Ok(Self { dir, address })
    }

    /// Where it listens; another port after each start.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it with everything it has under way, as a machine that goes does, and waits until all of it is gone.
    pub async fn kill(&self) -> Result<()> {
        let file = self.dir.path().join("postgres/data/postmaster.pid");
        let text = std::fs::read_to_string(&file)?;
        let server = text.lines().next().context("its first line is a process")?;
        // the server first: it starts again what dies below it
        let mut all = vec![server.to_owned()];
        all.extend(children(server)?);
        Command::new("kill")
            .arg("-KILL")
            .args(&all)
            .stderr(Stdio::null())
            .status()?;
        eventually("the database is dead", Duration::from_secs(30), || async {
            Ok((!all.iter().any(|pid| is_alive(pid))).then_some(()))
        })
        .await?;
        // in a container nobody may ever read its exit status, and a new server would take it for a living one
        Ok(std::fs::remove_file(file)?)
    }

    /// Starts it on the same data; it recovers what was committed.
    pub fn start_again(&mut self) -> Result<()> {
        self.address = scripted(self.dir.path(), "start")?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = scripted(self.dir.path(), "stop");
    }
}

/// `scripts/postgres` with a state of its own.
fn scripted(state: &Path, what: &str) -> Result<String> {
    let mut command = Command::new(repository().join("scripts/postgres"));
    command.arg(what).env("LABWIRE_STATE", state).stdin(Stdio::null());
    Ok(checked(&mut command, &format!("scripts/postgres {what}"))?
        .trim()
        .to_owned())
}

/// Processes that this one started.
fn children(pid: &str) -> Result<Vec<String>> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

/// Whether a process is there and not only its exit status, which whoever inherits it may not have read yet.
fn is_alive(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
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
