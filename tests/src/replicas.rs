//! Several `labwire serve` of this machine on one Postgres and one S3: what a cluster's replicas are to each other, without the cluster.
//! Sandboxes are the process runtime's, in a folder that all replicas share.

use crate::{
    Api, Gate, binary,
    door::Door,
    eventually,
    machine::{agent_binary, agents_below, free_port},
    services::{beside, checked, database_on, objects, parts, psql, script},
};
use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use lab_core::agent::{AgentFrame, FromAgent, PROTOCOL_VERSION, ToAgent};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixStream},
    process::{Child, Command},
};
use tokio_tungstenite::tungstenite::Message;

/// Longest wait for a start: a debug build on a loaded two-core machine takes about 3 s.
const START_WITHIN: Duration = Duration::from_secs(60);
/// What a supervisor gives a process that it asked to stop (Kubernetes' default).
const GRACE: Duration = Duration::from_secs(30);

/// The replicas, and everything they share.
pub struct Replicas {
    /// Of the door: any replica answers.
    pub url: String,
    pub installation: String,
    /// Before the database, as the replicas see it.
    pub database: Gate,
    /// Before the object storage.
    pub objects: Gate,
    pub door: Door,
    /// Where the database's server listens, past the gate.
    server: String,
    nodes: Vec<Node>,
    dir: TempDir,
}

struct Node {
    port: u16,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Replicas {
    /// Makes database, bucket and configuration, migrates, starts `count` replicas and waits until the door leads to all of them.
    pub async fn start(count: usize, lab: &str) -> Result<Self> {
        Self::start_on(&script("postgres", &["start"])?, count, lab).await
    }

    /// [`Replicas::start`], with a database on the server at this address.
    pub async fn start_on(server: &str, count: usize, lab: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("lw-").tempdir()?;
        let installation = format!("e2e-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (database, address) = database_on(server, &installation, "127.0.0.1")?;
        let objects = objects(&installation, "127.0.0.1").await?;
        std::fs::create_dir_all(dir.path().join("labs/shell"))?;
        std::fs::write(dir.path().join("labs/shell/lab.yaml"), lab)?;
        let key = uuid::Uuid::new_v4().to_string() + &uuid::Uuid::new_v4().to_string();
        let shared = format!(
            "installation: {installation}\npublic_url: {url}\nreplicas: {count}\ndatabase: {address}\n\
             recordings: s3://{installation}/recordings\n\
             s3: {{endpoint: \"http://{s3}\", access_key: test, secret_key: test}}\n\
             keys: [{{id: one, secret: \"{key}\"}}]\nlabs_dir: {labs}\nlimits: {{sandboxes_max: 500, drain_notice: 1s}}\n\
             runtime: {{kind: process, agent: {agent}, state_dir: {state}}}\n",
            s3 = objects.address,
            labs = dir.path().join("labs").display(),
            agent = agent_binary()?.display(),
            state = dir.path().join("box").display(),
        );
        let mut nodes = Vec::new();
        for n in 0..count {
            let port = free_port()?;
            let data = dir.path().join(format!("data-{n}"));
            let config = dir.path().join(format!("labwire-{n}.yaml"));
            std::fs::write(
                &config,
                format!("{shared}listen: 127.0.0.1:{port}\ndata_dir: {}\n", data.display()),
            )?;
            nodes.push(Node {
                port,
                config,
                log: dir.path().join(format!("serve-{n}.log")),
                child: None,
            });
        }
        let addresses = nodes.iter().map(|n| ([127, 0, 0, 1], n.port).into()).collect();
        let mut replicas = Self {
            url,
            installation,
            database,
            objects,
            door: Door::before(listener, addresses)?,
            server: server.to_owned(),
            nodes,
            dir,
        };
        replicas.cli(&["migrate"])?;
        for n in 0..count {
            replicas.spawn(n)?;
        }
        for n in 0..count {
            replicas.ready(n).await?;
        }
        Ok(replicas)
    }

    /// How many there are, running or not.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// A replica's own address, past the door.
    pub fn url_of(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.nodes[n].port)
    }

    /// Starts a replica (again).
    pub fn spawn(&mut self, n: usize) -> Result<()> {
        let node = &mut self.nodes[n];
        ensure!(node.child.is_none(), "replica {n} runs already");
        let log = std::fs::File::options().create(true).append(true).open(&node.log)?;
        let child = Command::new(binary("labwire")?)
            .args(["serve", "--config"])
            .arg(&node.config)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start labwire")?;
        node.child = Some(child);
        Ok(())
    }

    /// Waits until the door leads to a replica.
    pub async fn ready(&self, n: usize) -> Result<()> {
        let ready = eventually("the replica is ready", START_WITHIN, || async {
            Ok(self.door.leads_to(n).then_some(()))
        });
        ready.await.with_context(|| self.log_tail(n, 40))
    }

    /// Kills a replica as a crash would.
    pub async fn kill(&mut self, n: usize) -> Result<()> {
        let mut child = self.nodes[n].child.take().context("the replica does not run")?;
        child.kill().await.context("cannot kill the replica")
    }

    /// Asks a replica to stop and waits for it; how long that took. Fails when it needs more than the grace period.
    pub async fn terminate(&mut self, n: usize) -> Result<Duration> {
        let mut child = self.nodes[n].child.take().context("the replica does not run")?;
        let pid = child.id().context("the replica has no pid")?.to_string();
        let since = std::time::Instant::now();
        std::process::Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = tokio::time::timeout(GRACE, child.wait()).await;
        let status = status.with_context(|| format!("no end within {GRACE:?}: {}", self.log_tail(n, 40)))??;
        ensure!(
            status.success(),
            "the replica ended with {status}: {}",
            self.log_tail(n, 40)
        );
        Ok(since.elapsed())
    }

    /// Runs `labwire` with the first replica's configuration; its standard output.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let out = std::process::Command::new(binary("labwire")?)
            .args(args)
            .arg("--config")
            .arg(&self.nodes[0].config)
            .output()?;
        ensure!(
            out.status.success(),
            "labwire {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(String::from_utf8(out.stdout)?)
    }

    /// Copies the database, as the runbook has it.
    pub fn back_up(&self) -> Result<PathBuf> {
        let file = self.dir.path().join("backup.dump");
        let mut dump = std::process::Command::new("pg_dump");
        dump.arg("--format=custom")
            .arg(format!("--file={}", file.display()))
            .arg(self.database_address()?);
        checked(&mut dump, "pg_dump")?;
        Ok(file)
    }

    /// Puts a copy in the place of what is there, as the runbook has it. No replica may run.
    pub fn restore(&self, backup: &Path) -> Result<()> {
        let mut restore = std::process::Command::new("pg_restore");
        restore
            .args(["--clean", "--if-exists"])
            .arg(format!("--dbname={}", self.database_address()?))
            .arg(backup);
        checked(&mut restore, "pg_restore")?;
        Ok(())
    }

    /// Past the gate.
    fn database_address(&self) -> Result<String> {
        beside(&self.server, &self.installation)
    }

    /// Says or asks the database something, past the gate; the rows, without headings.
    pub fn sql(&self, statement: &str) -> Result<String> {
        Ok(psql(&self.database_address()?, statement)?.trim().to_owned())
    }

    /// The database's server has moved; the gate leads there from now on.
    pub fn database_moved(&mut self, server: &str) -> Result<()> {
        server.clone_into(&mut self.server);
        self.database.lead_to(parts(server)?.1);
        Ok(())
    }

    /// The end of each replica's log.
    pub fn logs(&self, lines: usize) -> String {
        (0..self.count()).map(|n| self.log_tail(n, lines)).collect()
    }

    /// Gives a learner of the course `net` an hour, signs them in through the door and starts the lab.
    pub async fn learner(&self, name: &str) -> Result<(Api, String)> {
        let api = self.arrived(name).await?;
        let session = api.start("shell").await?;
        Ok((api, session))
    }

    /// Gives a learner of the course `net` an hour and signs them in through the door.
    pub async fn arrived(&self, name: &str) -> Result<Api> {
        let grant = [
            "--learner",
            name,
            "--course",
            "net",
            "--plan",
            "QUALIFYING",
            "--seconds",
            "3600",
        ];
        self.cli(&[&["grant"][..], &grant].concat())?;
        let link = ["--learner", name, "--name", name, "--course", "net", "--lab", "shell"];
        Api::launch(&self.url, &self.token(&link)?).await
    }

    /// Signs staff of the course `net` in at `url`: the door's, or one replica's.
    pub async fn staff(&self, url: &str, role: &str) -> Result<Api> {
        let link = ["--learner", role, "--name", role, "--role", role, "--course", "net"];
        Api::launch(url, &self.token(&link)?).await
    }

    fn token(&self, args: &[&str]) -> Result<String> {
        let out = self.cli(&[&["link", "--valid", "10m"][..], args].concat())?;
        let at = out.find("token=").with_context(|| format!("no link in {out:?}"))?;
        Ok(out[at + 6..].split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// Pids of the agents: the shells' owners.
    pub fn agents(&self) -> Vec<String> {
        agents_below(self.dir.path())
    }

    /// A session's journal as its agent has it, from the first byte to what there is now.
    pub async fn agent_journal(&self, sandbox: &str, end: u64) -> Result<Vec<u8>> {
        let run = self
            .dir
            .path()
            .join("box")
            .join(&self.installation)
            .join(sandbox)
            .join("run");
        let stream = UnixStream::connect(run.join("agent.sock")).await?;
        let (mut socket, _) = tokio_tungstenite::client_async("ws://agent/v1", stream).await?;
        for message in [
            ToAgent::Hello {
                version: PROTOCOL_VERSION,
            },
            ToAgent::Follow { from: 0 },
        ] {
            socket.send(Message::text(serde_json::to_string(&message)?)).await?;
        }
        let mut journal = BytesMut::new();
        while (journal.len() as u64) < end {
            match socket.next().await.context("the agent hung up")?? {
                Message::Binary(bytes) => {
                    if let AgentFrame::Journal { offset, bytes } = AgentFrame::decode(bytes)? {
                        ensure!(
                            offset == journal.len() as u64,
                            "the agent has forgotten bytes below {offset}"
                        );
                        journal.extend_from_slice(&bytes);
                        let taken = AgentFrame::Taken {
                            offset: journal.len() as u64,
                        };
                        socket.send(Message::binary(taken.encode())).await?;
                    }
                }
                Message::Text(text) => {
                    if let FromAgent::Refused { code, message, .. } = serde_json::from_str(&text)? {
                        bail!("the agent refused: {code}: {message}");
                    }
                }
                _ => {}
            }
        }
        journal.truncate(usize::try_from(end)?);
        Ok(journal.to_vec())
    }

    /// What a replica wrote so far.
    pub fn log(&self, n: usize) -> String {
        std::fs::read_to_string(&self.nodes[n].log).unwrap_or_default()
    }

    fn log_tail(&self, n: usize, lines: usize) -> String {
        let log = self.log(n);
        let all: Vec<&str> = log.lines().collect();
        format!(
            "--- replica {n} ---\n{}",
            all[all.len().saturating_sub(lines)..].join("\n")
        )
    }

    /// Ends every session, and checks what must be true after any test: nothing runs, nothing is held, the ledger is zero, nobody
    /// panicked.
    pub async fn finish(mut self) -> Result<()> {
        let operations = self.staff(&self.url, "operations").await?;
        for session in operations
            .get("/sessions?live=1")
            .await?
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = session["id"].as_str().unwrap_or_default();
            operations
                .post(&format!("/sessions/{id}/stop"), &serde_json::json!({}))
                .await?;
        }
        eventually("no sandbox is left", Duration::from_secs(90), || async {
            Ok(self.agents().is_empty().then_some(()))
        })
        .await
        .with_context(|| self.logs(20))?;
        eventually("the ledger is settled", Duration::from_secs(30), || async {
            let ledger = &operations.get("/health").await?["ledger"];
            ensure!(ledger["total"] == 0 && ledger["held"] == 0, "{ledger}");
            Ok(Some(()))
        })
        .await?;
        for n in 0..self.count() {
            if self.nodes[n].child.is_some() {
                self.terminate(n).await?;
            }
            ensure!(
                !self.log(n).contains("panicked at"),
                "a panic: {}",
                self.log_tail(n, 60)
            );
        }
        Ok(())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        // replicas die by `kill_on_drop`; sandboxes survive them by design, so they are ended here
        for pid in self.agents() {
            let _ = std::process::Command::new("kill").args(["-KILL", &pid]).status();
        }
        // a server that was killed has nothing left to remove
        let drop = format!("drop database if exists \"{}\" with (force)", self.installation);
        let _ = psql(&self.server, &drop);
    }
}
