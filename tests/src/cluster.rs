//! Labwire on Kubernetes: the chart in a namespace of its own, a database of its own, a bucket of its own.
//!
//! The database and the object storage are this machine's (`scripts/postgres`, `scripts/s3`), each behind a [`Gate`] that a
//! test can shut. Browsers come through a gate too, so that their address is known before the chart is installed.

use crate::{
    eventually,
    gate::Gate,
    machine::repository,
    server::{GONE_WITHIN, Options},
    services::{checked, database, drop_database, objects, script},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// The chart's release, and what it stands on.
pub struct Cluster {
    pub url: String,
    pub installation: String,
    /// Before the database, as the replicas see it.
    pub database: Gate,
    /// Before the object storage.
    pub objects: Gate,
    /// Before the Service that browsers meet.
    pub door: Gate,
    folder: tempfile::TempDir,
}

/// Where a pod of the test cluster reaches servers of this machine (docs/cluster.md); another cluster's by
/// `LABWIRE_TEST_HOST`.
const HOST: &str = "10.250.0.1";
/// An account's tokens are Kubernetes' own to remove, and up to 1.23 it forgets those whose account was deleted while its
/// tokens controller had no watch (after the API server was away it has none for up to a minute): it takes no notice of
/// deletions that it learns of from a list. What is ours is the account.
const NOT_TOKENS: &str = "--field-selector=type!=kubernetes.io/service-account-token";
/// Replicas of `serve` in every test.
const REPLICAS: usize = 3;
/// An installation with its images present takes about 10 s; a busy two-core machine several times that.
const INSTALL_WITHIN: Duration = Duration::from_secs(180);

impl Cluster {
    /// Installs the chart's production profile and waits until all of it is ready.
    pub async fn start(options: &Options) -> Result<Self> {
        let installation = format!("e2e-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let host = std::env::var("LABWIRE_TEST_HOST").unwrap_or_else(|_| HOST.into());
        let (database, address) = database(&installation, &host)?;
        let door = Gate::on("127.0.0.1")?;
        let cluster = Self {
            url: format!("http://{}", door.address),
            database,
            objects: objects(&installation, &host).await?,
            door,
            folder: tempfile::tempdir()?,
            installation,
        };
        cluster.install(&address, options).await?;
        Ok(cluster)
    }

    /// Waits until every replica of `serve` is ready.
    ///
    /// # Errors
    /// Some are not within `within`.
    pub async fn all_replicas(&self, within: Duration) -> Result<()> {
        let component = "app.kubernetes.io/component=serve";
        let count = "jsonpath={.items[0].status.readyReplicas}";
        eventually("all replicas are ready", within, || async {
            let ready = kubectl(&[
                "get",
                "deployments",
                "-n",
                &self.installation,
                "-l",
                component,
                "-o",
                count,
            ])?;
            Ok((ready.trim() == REPLICAS.to_string()).then_some(()))
        })
        .await
    }

    async fn install(&self, database: &str, options: &Options) -> Result<()> {
        let name = &self.installation;
        kubectl(&["create", "namespace", name])?;
        let key = uuid::Uuid::new_v4().to_string() + &uuid::Uuid::new_v4().to_string();
        for (secret, entries) in [
            ("database", vec![format!("url={database}")]),
            ("objects", vec!["access_key=test".into(), "secret_key=test".into()]),
            ("launch-keys", vec![format!("k1={key}")]),
        ] {
            let literals: Vec<String> = entries.iter().map(|e| format!("--from-literal={e}")).collect();
            let mut args = vec!["create", "secret", "generic", secret, "-n", name];
            args.extend(literals.iter().map(String::as_str));
            kubectl(&args)?;
        }
        let values = self.folder.path().join("values.yaml");
        std::fs::write(&values, self.values(options)?)?;
        let chart = repository().join("helm");
        let mut helm = tool("helm");
        helm.args(["install", name, "-n", name, "--wait", "--timeout"])
            .arg(format!("{}s", INSTALL_WITHIN.as_secs()))
            .arg("-f")
            .arg(values)
            .arg(&chart);
        let out = tokio::task::spawn_blocking(move || helm.output()).await??;
        ensure!(
            out.status.success(),
            "helm install: {}\n{}",
            String::from_utf8_lossy(&out.stderr),
            self.what_is_there()
        );
        let service = kubectl(&[
            "get",
            "service",
            "-n",
            name,
            "-l",
            "app.kubernetes.io/component=serve",
            "-o",
            "jsonpath={.items[0].spec.clusterIP}:{.items[0].spec.ports[0].port}",
        ])?;
        self.door.lead_to(service.trim());
        let client = crate::client();
        eventually("the installation is ready", INSTALL_WITHIN, || async {
            let ready = client.get(format!("{}/readyz", self.url)).send().await?;
            Ok(ready.status().is_success().then_some(()))
        })
        .await
        .with_context(|| self.what_is_there())
    }

    /// As the production profile, but for what that refuses here: pages without TLS, and so little of a two-core machine.
    fn values(&self, options: &Options) -> Result<String> {
        let labs: serde_json::Map<String, serde_json::Value> = options
            .labs
            .iter()
            .map(|(name, text)| (name.clone(), text.clone().into()))
            .collect();
        let small = serde_json::json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}});
        let config: serde_json::Value = serde_yaml::from_str(&options.config)?;
        let mut values = serde_json::json!({
            "installation": self.installation,
            "publicUrl": self.url,
            "database": {"kind": "postgres", "secret": {"name": "database"}},
            "recordings": {"kind": "s3", "s3": {
                "bucket": self.installation,
                "endpoint": format!("http://{}", self.objects.address),
                "pathStyle": true,
                "secret": {"name": "objects"},
            }},
            "launchKeys": {"secret": {"name": "launch-keys"}, "ids": ["k1"]},
            "serve": {"replicas": REPLICAS, "resources": small},
            "controller": {"replicas": 2, "resources": small},
            "labs": {
                "files": labs,
                "namespace": self.labs(),
                "createNamespace": true,
                "cpuOvercommit": 50,
                "seccomp": {"path": "lab.json"},
                "procMount": "Unmasked",
                "acceptUnmasked": true,
            },
        });
        if !config.is_null() {
            values["config"] = config;
        }
        Ok(serde_json::to_string_pretty(&values)?)
    }

    /// Runs `labwire` in one of the replicas; its standard output.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let mut all = vec![
            "exec",
            "-n",
            &self.installation,
            "deployment/serve",
            "-c",
            "serve",
            "--",
            "labwire",
        ];
        let deployment = format!("deployment/{}", self.deployment()?);
        all[3] = &deployment;
        all.extend(args);
        kubectl(&all)
    }

    fn deployment(&self) -> Result<String> {
        let name = kubectl(&[
            "get",
            "deployment",
            "-n",
            &self.installation,
            "-l",
            "app.kubernetes.io/component=serve",
            "-o",
            "jsonpath={.items[0].metadata.name}",
        ])?;
        ensure!(!name.trim().is_empty(), "no deployment of serve");
        Ok(name.trim().to_owned())
    }

    /// The namespace of its labs.
    pub fn labs(&self) -> String {
        format!("{}-labs", self.installation)
    }

    /// Pods of labs and their `LabSandbox`es, by what the cluster itself says.
    pub fn sandboxes(&self) -> Result<Vec<String>> {
        let out = kubectl(&[
            "get",
            "labsandboxes,pods",
            "-n",
            &self.labs(),
            "-l",
            &format!("labwire.dev/installation={}", self.installation),
            "-o",
            "name",
        ])?;
        Ok(out.lines().map(str::to_owned).collect())
    }

    /// A command in the lab's container of the only sandbox.
    pub fn exec_in_sandbox(&self, args: &[&str]) -> Result<Command> {
        let all = self.sandboxes()?;
        let pods: Vec<&String> = all.iter().filter(|s| s.starts_with("pod/")).collect();
        let [pod] = pods[..] else {
            bail!("one pod, and there are {pods:?}")
        };
        let mut command = tool("kubectl");
        command
            .args(["exec", "-i", "-n", &self.labs(), pod, "-c", "lab", "--"])
            .args(args);
        Ok(command)
    }

    /// What every replica and the controller wrote.
    pub fn log(&self) -> String {
        let selector = "app.kubernetes.io/component in (serve,controller)";
        let args = [
            "logs",
            "-n",
            &self.installation,
            "-l",
            selector,
            "--prefix",
            "--tail=-1",
            "--all-containers",
        ];
        kubectl(&args).unwrap_or_else(|e| e.to_string())
    }

    /// For a failure's report: pods, sandboxes, events, the end of the logs.
    pub fn what_is_there(&self) -> String {
        let (n, labs) = (self.installation.as_str(), self.labs());
        let looks: [&[&str]; 6] = [
            &["get", "pods,deployments,jobs", "-n", n, "-o", "wide"],
            &["get", "labsandboxes,pods", "-n", &labs, "-o", "wide"],
            &["get", "events", "-n", n, "--sort-by=.lastTimestamp"],
            &["get", "events", "-n", &labs, "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "-n",
                n,
                "-l",
                "app.kubernetes.io/component=serve",
                "--prefix",
                "--tail=20",
            ],
            &[
                "logs",
                "-n",
                n,
                "-l",
                "app.kubernetes.io/component=controller",
                "--prefix",
                "--tail=20",
            ],
        ];
        looks
            .iter()
            .map(|args| kubectl(args).unwrap_or_else(|e| format!("{e:#}\n")))
            .collect::<Vec<_>>()
            .join("---\n")
    }

    /// Uninstalls the release; what must be gone with it is an error when it is not.
    pub async fn uninstall(&self) -> Result<()> {
        let labs = self.labs();
        let kinds = "labsandboxes,pods,secrets,networkpolicies";
        // a sandbox's own are taken after it by the garbage collector, which begins anew after the API server was away
        eventually("nothing is left of sandboxes", GONE_WITHIN, || async {
            let left = kubectl(&["get", kinds, "-n", &labs, "-l", "labwire.dev/session", "-o", "name"])?;
            Ok(left.trim().is_empty().then_some(()))
        })
        .await?;
        let n = self.installation.clone();
        let mut helm = tool("helm");
        helm.args(["uninstall", &n, "-n", &n, "--wait", "--timeout", "120s"]);
        let out = tokio::task::spawn_blocking(move || helm.output()).await??;
        ensure!(
            out.status.success(),
            "helm uninstall: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let n = &self.installation;
        eventually("nothing is left of it", GONE_WITHIN, || async {
            let kinds = "pods,labsandboxes,persistentvolumeclaims,networkpolicies,leases,configmaps,serviceaccounts";
            let left = kubectl(&["get", kinds, "-n", n, "-o", "name"])?;
            let secrets = kubectl(&["get", "secrets", NOT_TOKENS, "-n", n, "-o", "name"])?;
            // what the test made, and what every namespace has
            let ours = [
                "secret/database",
                "secret/objects",
                "secret/launch-keys",
                "serviceaccount/default",
                "configmap/kube-root-ca.crt",
            ];
            let left: Vec<&str> = left
                .lines()
                .chain(secrets.lines())
                .filter(|l| !ours.iter().any(|o| l.starts_with(o)))
                .collect();
            ensure!(left.is_empty(), "left: {left:?}");
            Ok(Some(()))
        })
        .await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let n = &self.installation;
        let quiet = |mut command: Command| drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
        let mut helm = tool("helm");
        helm.args(["uninstall", n, "-n", n]);
        quiet(helm);
        // finalizers of sandboxes whose controller is gone would hold the namespace
        let mut sandboxes = tool("sh");
        sandboxes.arg("-c").arg(format!(
            "for s in $(kubectl get labsandboxes -n {n}-labs -o name); do kubectl patch -n {n}-labs $s --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'; done"
        ));
        quiet(sandboxes);
        let mut namespace = tool("kubectl");
        namespace.args([
            "delete",
            "namespace",
            n,
            &self.labs(),
            "--ignore-not-found",
            "--wait=false",
        ]);
        quiet(namespace);
        drop_database(n);
    }
}

/// Runs kubectl against the cluster under test; its standard output.
pub fn kubectl(args: &[&str]) -> Result<String> {
    checked(tool("kubectl").args(args), &format!("kubectl {}", args.join(" ")))
}

/// A program with the cluster's environment.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.envs(environment().iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null());
    command
}

/// KUBECONFIG and PATH of the cluster under test: the caller's, or the test cluster's, which is started if it must be.
fn environment() -> &'static [(String, String)] {
    static ENVIRONMENT: OnceLock<Vec<(String, String)>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let _ = script("cluster", &["up"]);
        let exports = script("cluster", &["env"]).unwrap_or_default();
        let shell = format!("{exports}\nprintf '%s\\n%s' \"$KUBECONFIG\" \"$PATH\"");
        let out = Command::new("sh")
            .args(["-c", &shell])
            .output()
            .map(|o| o.stdout)
            .unwrap_or_default();
        let out = String::from_utf8_lossy(&out).into_owned();
        let (kubeconfig, path) = out.split_once('\n').unwrap_or(("", ""));
        vec![("KUBECONFIG".into(), kubeconfig.into()), ("PATH".into(), path.into())]
    })
}
