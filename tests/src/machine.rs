//! `labwire serve` as a process of this machine: its own directory, port and installation name.

use crate::{
    eventually,
    server::{Options, Runtime},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::Child;

/// A running server; killed, with its sandboxes, when dropped.
pub struct Machine {
    pub url: String,
    pub installation: String,
    dir: TempDir,
    runtime: Runtime,
    docker_host: Option<String>,
    child: Option<Child>,
}

/// Longest wait for a start: a debug build on a loaded two-core machine takes about 3 s.
const START_WITHIN: Duration = Duration::from_secs(60);

impl Machine {
    /// Writes the configuration, starts the process and waits until it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("labwire-e2e-").tempdir()?;
        let port = free_port()?;
        let installation = format!("e2e-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let labs = dir.path().join("labs");
        std::fs::create_dir(&labs)?;
        if options.runtime == Runtime::Docker {
            copy_labs(&repository().join("lab-images"), &labs)?;
        }
        for (name, text) in &options.labs {
            std::fs::create_dir_all(labs.join(name))?;
            std::fs::write(labs.join(name).join("lab.yaml"), text)?;
        }
        let kind = if options.runtime == Runtime::Docker {
            "docker"
        } else {
            "process"
        };
        let url = format!("http://127.0.0.1:{port}");
        let config = format!(
            "installation: {installation}\nlisten: 127.0.0.1:{port}\npublic_url: {public_url}\ndata_dir: {data}\n\
             labs_dir: {labs}\nruntime:\n  kind: {kind}\n  agent: {agent}\n{more}\n",
            public_url = options.public_url.as_ref().unwrap_or(&url),
            data = dir.path().join("data").display(),
            labs = labs.display(),
            agent = agent_binary()?.display(),
            more = options.config,
        );
        std::fs::write(dir.path().join("labwire.yaml"), config)?;
        let mut server = Self {
            url,
            installation,
            dir,
            runtime: options.runtime,
            docker_host: options.docker_host,
            child: None,
        };
        server.spawn().await?;
        Ok(server)
    }

    /// Starts the process unless it runs.
    pub async fn runs_again(&mut self) -> Result<()> {
        match self.child {
            Some(_) => Ok(()),
            None => self.spawn().await,
        }
    }

    /// Starts the process (again) on the same data and port.
    pub async fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the server runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let child = tokio::process::Command::new(binary("labwire")?)
            .args(["serve", "--config"])
            .arg(self.config_path())
            .env("RUST_BACKTRACE", "1")
            .envs(self.docker_host.iter().map(|host| ("DOCKER_HOST", host)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start labwire")?;
        self.child = Some(child);
        let client = crate::client();
        let ready = eventually("the server is ready", START_WITHIN, || async {
            Ok(client
                .get(format!("{}/readyz", self.url))
                .send()
                .await?
                .status()
                .is_success()
                .then_some(()))
        });
        if let Err(e) = ready.await {
            bail!("{e:#}\n--- its log ---\n{}", self.log_tail(60));
        }
        Ok(())
    }

    /// Kills the process as a crash would (SIGKILL) and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill().await.context("cannot kill the server")
    }

    /// Asks the process to stop (SIGTERM) and waits for its exit status.
    pub async fn terminate(&mut self) -> Result<std::process::ExitStatus> {
        let mut child = self.child.take().context("the server does not run")?;
        let pid = child.id().context("the server has no pid")?.to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        tokio::time::timeout(Duration::from_secs(30), child.wait())
            .await
            .context("the server does not stop")?
            .map_err(Into::into)
    }

    /// Pid of the running process.
    pub fn pid(&self) -> Result<u32> {
        self.child
            .as_ref()
            .and_then(Child::id)
            .context("the server does not run")
    }

    /// Runs `labwire` with this server's configuration; its standard output.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let out = Command::new(binary("labwire")?)
            .args(args)
            .arg("--config")
            .arg(self.config_path())
            .output()?;
        ensure!(
            out.status.success(),
            "labwire {} failed ({}): {}{}",
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stderr),
            String::from_utf8_lossy(&out.stdout)
        );
        Ok(String::from_utf8(out.stdout)?)
    }

    /// Where this server keeps everything.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join("labwire.yaml")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("serve.log")
    }

    /// Everything the process wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// A `docker` command against this server's engine.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(args)
            .envs(self.docker_host.iter().map(|host| ("DOCKER_HOST", host)));
        command
    }

    /// Sandboxes of this installation, by what the runtime itself says (not by asking `labwire`).
    pub fn sandboxes(&self) -> Result<Vec<String>> {
        if self.runtime != Runtime::Docker {
            return Ok(agents_below(&self.data_dir()));
        }
        let filter = format!("label=labwire.installation={}", self.installation);
        let out = self.docker(&["ps", "-aq", "--filter", &filter]).output()?;
        ensure!(
            out.status.success(),
            "docker ps: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(String::from_utf8(out.stdout)?.lines().map(str::to_owned).collect())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // the server dies by `kill_on_drop`; sandboxes survive it by design, so they are ended here
        for id in self.sandboxes().unwrap_or_default() {
            let mut command = if self.runtime == Runtime::Docker {
                self.docker(&["rm", "-f", "-v", &id])
            } else {
                let mut kill = Command::new("kill");
                kill.args(["-KILL", &id]);
                kill
            };
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Pids of `lab-agent run` processes whose command line names something below `dir`.
pub(crate) fn agents_below(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|e| {
            let pid = e
                .file_name()
                .into_string()
                .ok()
                .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
            let line = std::fs::read(e.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            (line.contains("lab-agent\0run") && line.contains(&dir)).then_some(pid)
        })
        .collect()
}

fn copy_labs(from: &Path, to: &Path) -> Result<()> {
    for image in std::fs::read_dir(from)?.flatten() {
        let labs = image.path().join("labs");
        for lab in std::fs::read_dir(&labs).into_iter().flatten().flatten() {
            let target = to.join(lab.file_name());
            std::fs::create_dir_all(&target)?;
            for file in std::fs::read_dir(lab.path())?.flatten() {
                std::fs::copy(file.path(), target.join(file.file_name()))?;
            }
        }
    }
    Ok(())
}

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// A program of the product: in the folder that `LABWIRE_BIN` names (`make test` names the release build, which is what people
/// get and what promises about time are made for), or beside this test's own binary (`target/<profile>/deps/…`).
pub fn binary(name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LABWIRE_BIN") {
        let path = PathBuf::from(folder).join(name);
        ensure!(
            path.is_file(),
            "{} is not built: run `make build-release`",
            path.display()
        );
        return Ok(path);
    }
    let exe = std::env::current_exe()?;
    let found = exe
        .ancestors()
        .skip(1)
        .take(3)
        .map(|d| d.join(name))
        .find(|p| p.is_file());
    found.with_context(|| format!("{name} is not built: run `make build` first"))
}

/// The agent to inject: the static one of `make agent`, as containers need it.
pub(crate) fn agent_binary() -> Result<PathBuf> {
    match std::env::var_os("LABWIRE_AGENT") {
        Some(path) => Ok(path.into()),
        None => binary("lab-agent"),
    }
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
