//! Labwire as one test's people meet it, wherever it runs.

use crate::{Api, cluster::Cluster, eventually, machine::Machine};
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// How long what was ended may take to be gone. A second or two; but a kubelet that was just started again, or failed once to kill what
/// had ended by itself, looks again at its next sync: 15 s on our node (scripts/cluster.d), 90 s by default.
pub const GONE_WITHIN: Duration = Duration::from_secs(120);

/// Which sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Agents as child processes, shells of this machine: fast, for byte streams and load.
    Process,
    /// Containers, as in production on one machine.
    Docker,
    /// Pods: the chart's production profile on Kubernetes, Postgres and S3, three replicas.
    Cluster,
}

/// How a test's server differs from the default.
#[derive(Clone, Debug)]
pub struct Options {
    pub runtime: Runtime,
    /// More YAML for the configuration, top level.
    pub config: String,
    /// Lab files (name, text) beside the shipped ones.
    pub labs: Vec<(String, String)>,
    /// Another engine than the machine's.
    pub docker_host: Option<String>,
    /// How people reach it, where that is not where it listens: behind a proxy.
    pub public_url: Option<String>,
}

impl Options {
    /// The process runtime with one lab, `shell`: a bash and a cat.
    pub fn process() -> Self {
        Self {
            runtime: Runtime::Process,
            config: String::new(),
            labs: vec![("shell".into(), SHELL_LAB.into())],
            docker_host: None,
            public_url: None,
        }
    }

    /// The process runtime with one lab, `graded`: a bash, and three checks of a point each.
    pub fn graded() -> Self {
        Self {
            labs: vec![("graded".into(), GRADED_LAB.into())],
            ..Self::process()
        }
    }

    /// Containers, with the lab `shell` too.
    pub fn docker_shell() -> Self {
        Self {
            runtime: Runtime::Docker,
            ..Self::process()
        }
    }

    /// Pods, with the lab `shell` too.
    pub fn cluster() -> Self {
        Self {
            runtime: Runtime::Cluster,
            ..Self::process()
        }
    }

    /// Containers with the shipped labs.
    pub fn docker() -> Self {
        Self::shipped(Runtime::Docker)
    }

    /// The shipped labs and no other.
    pub fn shipped(runtime: Runtime) -> Self {
        Self {
            runtime,
            config: String::new(),
            labs: Vec::new(),
            docker_host: None,
            public_url: None,
        }
    }
}

/// The lab of tests that need terminals, not a network.
const SHELL_LAB: &str = include_str!("shell-lab.yaml");
/// The lab of tests that need points.
const GRADED_LAB: &str = include_str!("graded-lab.yaml");

/// A running Labwire; gone, with its sandboxes, when dropped.
pub struct Server {
    pub url: String,
    pub installation: String,
    place: Place,
}

/// Where it runs.
enum Place {
    Machine(Box<Machine>),
    Cluster(Box<Cluster>),
}

impl Server {
    /// Installs and starts it, and waits until it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        if options.runtime == Runtime::Cluster {
            let cluster = Cluster::start(&options).await?;
            return Ok(Self {
                url: cluster.url.clone(),
                installation: cluster.installation.clone(),
                place: Place::Cluster(Box::new(cluster)),
            });
        }
        let machine = Machine::start(options).await?;
        Ok(Self {
            url: machine.url.clone(),
            installation: machine.installation.clone(),
            place: Place::Machine(Box::new(machine)),
        })
    }

    /// Starts the process (again) on the same data and port.
    pub async fn spawn(&mut self) -> Result<()> {
        self.machine_mut()?.spawn().await
    }

    /// Kills the process as a crash would (SIGKILL) and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.machine_mut()?.kill().await
    }

    /// Asks the process to stop (SIGTERM) and waits for its exit status.
    pub async fn terminate(&mut self) -> Result<std::process::ExitStatus> {
        self.machine_mut()?.terminate().await
    }

    /// Pid of the running process.
    pub fn pid(&self) -> Result<u32> {
        self.machine()?.pid()
    }

    /// Where this server keeps everything.
    pub fn data_dir(&self) -> Result<PathBuf> {
        Ok(self.machine()?.data_dir())
    }

    /// Everything the process wrote so far.
    pub fn log(&self) -> String {
        match &self.place {
            Place::Machine(machine) => machine.log(),
            Place::Cluster(cluster) => cluster.log(),
        }
    }

    /// A `docker` command against this server's engine.
    pub fn docker(&self, args: &[&str]) -> Result<Command> {
        Ok(self.machine()?.docker(args))
    }

    /// Sandboxes of this installation, by what the runtime itself says (not by asking `labwire`).
    pub fn sandboxes(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Machine(machine) => machine.sandboxes(),
            Place::Cluster(cluster) => cluster.sandboxes(),
        }
    }

    /// Runs a shell script in the only sandbox there is, as its lab's user; its standard output.
    pub async fn run_in_sandbox(&self, script: Vec<u8>) -> Result<String> {
        let mut command = match &self.place {
            Place::Machine(machine) => {
                let container = machine.sandboxes()?.pop().context("a container")?;
                machine.docker(&["exec", "-i", &container, "sh", "-s"])
            }
            Place::Cluster(cluster) => cluster.exec_in_sandbox(&["sh", "-s"])?,
        };
        tokio::task::spawn_blocking(move || fed(&mut command, &script)).await?
    }

    /// Runs `labwire` with this server's configuration; its standard output.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        match &self.place {
            Place::Machine(machine) => machine.cli(args),
            Place::Cluster(cluster) => cluster.cli(args),
        }
    }

    /// The installation on Kubernetes, for what only that has.
    pub fn cluster(&self) -> Result<&Cluster> {
        match &self.place {
            Place::Cluster(cluster) => Ok(cluster),
            Place::Machine(_) => bail!("this is done on a cluster only"),
        }
    }

    fn machine(&self) -> Result<&Machine> {
        match &self.place {
            Place::Machine(machine) => Ok(machine),
            Place::Cluster(_) => bail!("this is done on one machine only"),
        }
    }

    fn machine_mut(&mut self) -> Result<&mut Machine> {
        match &mut self.place {
            Place::Machine(machine) => Ok(machine),
            Place::Cluster(_) => bail!("this is done on one machine only"),
        }
    }

    /// A QUALIFYING grant of `seconds` in the course `net`.
    pub fn grant(&self, learner: &str, seconds: u32) -> Result<()> {
        let seconds = seconds.to_string();
        self.cli(&[
            "grant",
            "--learner",
            learner,
            "--course",
            "net",
            "--plan",
            "QUALIFYING",
            "--seconds",
            &seconds,
        ])?;
        Ok(())
    }

    /// A launch link's token for a learner of the course `net`.
    pub fn link(&self, learner: &str, lab: &str) -> Result<String> {
        self.token(&["--learner", learner, "--name", learner, "--lab", lab, "--course", "net"])
    }

    /// A sign-in token for staff of the course `net`.
    pub fn staff_link(&self, role: &str, name: &str) -> Result<String> {
        self.token(&["--learner", name, "--name", name, "--role", role, "--course", "net"])
    }

    fn token(&self, args: &[&str]) -> Result<String> {
        let mut all = vec!["link", "--valid", "10m"];
        all.extend(args);
        let out = self.cli(&all)?;
        let at = out.find("token=").with_context(|| format!("no link in {out:?}"))?;
        Ok(out[at + 6..].split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// A signed-in learner with time, and their running session of `lab`.
    pub async fn learner(&self, name: &str, lab: &str) -> Result<(Api, String)> {
        self.grant(name, 3600)?;
        let api = Api::launch(&self.url, &self.link(name, lab)?).await?;
        let session = api.start(lab).await?;
        Ok((api, session))
    }

    /// A signed-in teacher of the course `net`.
    pub async fn teacher(&self, name: &str) -> Result<Api> {
        Api::launch(&self.url, &self.staff_link("teacher", name)?).await
    }

    /// A signed-in operator.
    pub async fn operations(&self) -> Result<Api> {
        Api::launch(&self.url, &self.staff_link("operations", "ops")?).await
    }

    /// Ends every session and checks what must be true after any test: nothing runs, nothing is held, the ledger is zero,
    /// billed and unbilled make the sandbox time, no log line is an error, no panic happened.
    pub async fn finish(mut self) -> Result<()> {
        match &mut self.place {
            Place::Machine(machine) => machine.runs_again().await?,
            Place::Cluster(_) => {}
        }
        let operations = self.operations().await?;
        for session in operations
            .get("/sessions?live=1")
            .await?
            .as_array()
            .cloned()
            .unwrap_or_default()
        {
            let id = session["id"].as_str().unwrap_or_default().to_owned();
            operations
                .post(&format!("/sessions/{id}/stop"), &serde_json::json!({}))
                .await?;
        }
        eventually("every session is over", GONE_WITHIN, || async {
            let live = operations.get("/sessions?live=1").await?;
            Ok(live.as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await
        .with_context(|| self.log_tail(40))?;
        eventually("no sandbox is left", GONE_WITHIN, || async {
            let left = self.sandboxes()?;
            ensure!(left.is_empty(), "left: {left:?}");
            Ok(Some(()))
        })
        .await?;
        let ledger = &operations.get("/health").await?["ledger"];
        ensure!(ledger["total"] == 0, "the ledger's sum is {ledger}");
        ensure!(ledger["held"] == 0, "time is still held: {ledger}");
        for row in operations.get("/usage").await?.as_array().context("usage is a list")? {
            let n = |key: &str| row[key].as_i64().unwrap_or(i64::MIN / 4);
            ensure!(
                n("billed_seconds") + n("unbilled_seconds") == n("sandbox_seconds"),
                "usage does not add up: {row}"
            );
        }
        if let Place::Machine(machine) = &mut self.place {
            machine.terminate().await?;
        }
        let log = self.log();
        ensure!(!log.contains("panicked at"), "a panic:\n{}", self.log_tail(60));
        if let Place::Cluster(cluster) = &self.place {
            cluster.uninstall().await?;
        }
        Ok(())
    }

    fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Runs a command with this standard input.
fn fed(command: &mut Command, input: &[u8]) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("a pipe")?.write_all(input)?;
    let out = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        out.status.success(),
        "{command:?}: {}{}",
        text(&out.stdout),
        text(&out.stderr)
    );
    Ok(text(&out.stdout))
}
