//! A Docker engine of a test's own, to be stopped and started under running labs without touching anybody else's.

use crate::eventually;
use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::Child;

/// A running (or stopped) engine with the lab image in it; everything of it goes when it is dropped.
pub struct Engine {
    dir: TempDir,
    child: Option<Child>,
}

/// A cold engine answers in 1 to 3 s; one that restores containers needs a little more.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

impl Engine {
    /// Starts an engine and copies `image` into it from the machine's own.
    pub async fn start(image: &str) -> Result<Self> {
        // its layers need a file system that overlays can lie on: beside the machine's own engine
        let state = std::env::var_os("LABWIRE_STATE").map_or_else(|| PathBuf::from("/var/lib/labwire"), PathBuf::from);
        std::fs::create_dir_all(&state)?;
        let dir = tempfile::Builder::new().prefix("engine-").tempdir_in(state)?;
        let mut engine = Self { dir, child: None };
        engine.spawn().await?;
        let (save, host, image) = (image.to_owned(), engine.host(), image.to_owned());
        tokio::task::spawn_blocking(move || -> Result<()> {
            let mut save = Command::new("docker")
                .args(["save", &save])
                .stdout(Stdio::piped())
                .spawn()?;
            let pipe = save.stdout.take().context("a pipe")?;
            let load = Command::new("docker")
                .env("DOCKER_HOST", &host)
                .arg("load")
                .stdin(pipe)
                .stdout(Stdio::null())
                .status()?;
            ensure!(
                save.wait()?.success() && load.success(),
                "cannot copy {image}: run `make images`"
            );
            Ok(())
        })
        .await??;
        Ok(engine)
    }

    /// Starts the process (again) on the same data.
    pub async fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the engine runs already");
        let path = |name: &str| self.dir.path().join(name);
        let log = std::fs::File::options().create(true).append(true).open(path("log"))?;
        let child = tokio::process::Command::new("dockerd")
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("run"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args([
                "--live-restore",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "-H",
                &self.host(),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd: run scripts/need engine, as root")?;
        self.child = Some(child);
        let host = self.host();
        eventually("the engine answers", ANSWERS_WITHIN, || async {
            let answer = Command::new("docker")
                .env("DOCKER_HOST", &host)
                .arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            Ok(answer.success().then_some(()))
        })
        .await
        .with_context(|| std::fs::read_to_string(path("log")).unwrap_or_default())
    }

    /// Stops the process as operations would (SIGTERM); containers go on.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the engine does not run")?;
        let pid = child.id().context("it has a pid")?.to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        tokio::time::timeout(ANSWERS_WITHIN, child.wait())
            .await
            .context("dockerd does not stop")??;
        Ok(())
    }

    /// What `DOCKER_HOST` is set to.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let dir = self.dir.path().to_owned();
        if let Some(pid) = self.child.as_ref().and_then(Child::id) {
            let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
            // mounts go when it ends; a directory with mounts cannot be removed
            while Path::new(&format!("/proc/{pid}/exe")).exists() && dir.join("pid").exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for mount in mounts_below(&dir) {
            let _ = Command::new("umount").args(["-l", &mount]).status();
        }
    }
}

fn mounts_below(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found: Vec<String> = table
        .lines()
        .filter_map(|l| l.split(' ').nth(1))
        .filter(|m| m.starts_with(&dir))
        .map(str::to_owned)
        .collect();
    found.sort_by_key(|m| std::cmp::Reverse(m.len()));
    found
}
