//! A controller and three replicas of `serve` as processes of this machine, on the cluster's API server, one Postgres and one folder.

use anyhow::{Context, Result, ensure};
use lab_e2e::{binary, eventually, kubectl, psql, repository, script, tool};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::process::Child;

const REPLICAS: usize = 3;
const START_WITHIN: Duration = Duration::from_secs(60);

/// Ended, with everything it made, by [`Fleet::end`]; killed when dropped.
pub struct Fleet {
    pub installation: String,
    /// Address of each replica.
    pub urls: Vec<String>,
    pub controller_metrics: String,
    controller: Child,
    serves: Vec<Child>,
    database: String,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts all of it for labs on the node `node`, for at most `sandboxes`.
    pub async fn start(node: &str, sandboxes: usize) -> Result<Self> {
        let installation = node.to_owned();
        let postgres = script("postgres", &["start"])?;
        psql(&postgres, &format!("create database \"{installation}\""))?;
        let (server, _) = postgres.rsplit_once('/').context("an address")?;
        let database = format!("{server}/{installation}");
        kubectl(&["apply", "-f", &repository().join("helm/crds").display().to_string()])?;
        kubectl(&["create", "namespace", &installation])?;
        let folder = tempfile::Builder::new().prefix("labwire-fleet-").tempdir()?;
        let labs = folder.path().join("labs/shell");
        std::fs::create_dir_all(&labs)?;
        std::fs::write(labs.join("lab.yaml"), include_str!("../../shell-lab.yaml"))?;
        let ports: Vec<u16> = (0..=REPLICAS).map(|_| free_port()).collect::<Result<_>>()?;
        let common = format!(
            "installation: {installation}\ndatabase: {database}\nrecordings: {folder}/recordings\nlabs_dir: {folder}/labs\n\
             keys:\n  - {{id: k1, secret: {key}}}\nreplicas: {REPLICAS}\nmigrate: false\n\
             runtime:\n  kind: kubernetes\n  kubernetes: {{namespace: {installation}, connect: pod}}\n\
             limits:\n  sandboxes_max: {sandboxes}\n",
            folder = folder.path().display(),
            key = uuid::Uuid::new_v4().to_string() + &uuid::Uuid::new_v4().to_string(),
        );
        for (n, port) in ports[..REPLICAS].iter().enumerate() {
            let text = format!(
                "{common}listen: 127.0.0.1:{port}\npublic_url: http://127.0.0.1:{port}\ndata_dir: {}/data{n}\n",
                folder.path().display()
            );
            std::fs::write(folder.path().join(format!("serve{n}.yaml")), text)?;
        }
        let settings = format!(
            "installation: {installation}\ndata_dir: {folder}/controller\n\
             runtime:\n  kind: kubernetes\n  kubernetes: {{namespace: {installation}}}\n\
             controller:\n  image: labwire/labwire:stand-in\n  listen: 127.0.0.1:{port}\n  seccomp: RuntimeDefault\n\
             \x20 node_selector: {{labwire.dev/bench: {node}}}\n\
             \x20 tolerations: [{{key: labwire.dev/bench, operator: Exists, effect: NoSchedule}}]\n",
            folder = folder.path().display(),
            port = ports[REPLICAS],
        );
        std::fs::write(folder.path().join("controller.yaml"), settings)?;
        run(&["migrate"], &folder.path().join("serve0.yaml"))?;
        let leader = spawn(folder.path(), "controller", "controller")?;
        let replicas = (0..REPLICAS)
            .map(|n| spawn(folder.path(), "serve", &format!("serve{n}")))
            .collect::<Result<_>>()?;
        let fleet = Self {
            installation,
            urls: ports[..REPLICAS]
                .iter()
                .map(|p| format!("http://127.0.0.1:{p}"))
                .collect(),
            controller_metrics: format!("http://127.0.0.1:{}", ports[REPLICAS]),
            controller: leader,
            serves: replicas,
            database,
            folder,
        };
        let client = lab_e2e::client();
        for url in fleet.urls.iter().chain([&fleet.controller_metrics]) {
            eventually("it is ready", START_WITHIN, || async {
                let answer = client.get(format!("{url}/readyz")).send().await?;
                ensure!(answer.status().is_success(), "{}", answer.text().await?);
                Ok(Some(()))
            })
            .await
            .with_context(|| fleet.logs())?;
        }
        Ok(fleet)
    }

    /// Runs `labwire` on this installation; its standard output.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        run(args, &self.folder.path().join("serve0.yaml"))
    }

    /// One number of the database.
    pub fn count(&self, query: &str) -> Result<usize> {
        Ok(psql(&self.database, query)?.trim().parse()?)
    }

    /// A file of this fleet's own.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    pub fn controller_pid(&self) -> Result<u32> {
        self.controller.id().context("the controller runs no more")
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        let names = (0..REPLICAS)
            .map(|n| format!("serve{n}"))
            .chain(["controller".to_owned()]);
        names
            .map(|name| {
                let log = std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                format!(
                    "--- {name} ---\n{}\n",
                    lines[lines.len().saturating_sub(12)..].join("\n")
                )
            })
            .collect()
    }

    /// Ends the processes and removes namespace and database.
    pub async fn end(mut self) -> Result<()> {
        for child in self.serves.iter_mut().chain([&mut self.controller]) {
            if let Some(pid) = child.id() {
                Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
            }
            tokio::time::timeout(START_WITHIN, child.wait())
                .await
                .context("it does not stop")??;
        }
        kubectl(&["delete", "namespace", &self.installation, "--wait=false"])?;
        let (server, _) = self.database.rsplit_once('/').context("an address")?;
        psql(
            &format!("{server}/postgres"),
            &format!("drop database \"{}\" with (force)", self.installation),
        )?;
        Ok(())
    }
}

fn run(args: &[&str], config: &Path) -> Result<String> {
    let out = Command::new(binary("labwire")?)
        .args(args)
        .arg("--config")
        .arg(config)
        .output()?;
    ensure!(
        out.status.success(),
        "labwire {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(String::from_utf8(out.stdout)?)
}

fn spawn(folder: &Path, command: &str, name: &str) -> Result<Child> {
    let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
    let mut labwire = tool(&binary("labwire")?.display().to_string());
    labwire
        .args([command, "--config"])
        .arg(folder.join(format!("{name}.yaml")))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(log);
    tokio::process::Command::from(labwire)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("labwire {command}"))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
