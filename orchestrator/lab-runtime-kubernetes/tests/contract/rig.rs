//! Two installations, each in a namespace of its own with its controller in this process.

use crate::gate::Gate;
use async_trait::async_trait;
use k8s_openapi::{
    api::core::v1::{Namespace, Pod},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, CustomResourceExt, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use lab_core::{SandboxId, port::Runtime};
use lab_runtime_kubernetes::{
    api::{LabSandbox, object_name},
    controller::{Controller, ControllerSettings, Seccomp, cluster_client},
    runtime::{Connect, KubernetesOptions, KubernetesRuntime},
};
use lab_testkit::contract::runtime::{RuntimeRig, eventually};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use prometheus::Registry;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Whose image the sandboxes have: any with perl, for the echo.
const IMAGE: &str = "labwire/frr:1";
/// The cluster takes a definition within this.
const SOON: Duration = Duration::from_secs(60);

/// See the module's doc. Dropped, it leaves nothing in the cluster.
pub struct Rig {
    pub client: Client,
    kubeconfig: Option<PathBuf>,
    ours: String,
    theirs: String,
    stop: CancellationToken,
}

impl Rig {
    /// Panics with the remedy when there is no cluster: a test that passes without one would say nothing.
    pub async fn new() -> Self {
        let kubeconfig = kubeconfig();
        let client = client(kubeconfig.as_deref()).await;
        ensure_crd(&client).await;
        let run = &uuid::Uuid::now_v7().simple().to_string()[20..];
        let rig = Self {
            client,
            kubeconfig,
            ours: format!("rt-ours-{run}"),
            theirs: format!("rt-theirs-{run}"),
            stop: CancellationToken::new(),
        };
        for namespace in [&rig.ours, &rig.theirs] {
            rig.make_namespace(namespace).await;
            rig.start_controller(namespace);
        }
        rig
    }

    async fn make_namespace(&self, name: &str) {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let space = Namespace {
            metadata,
            ..Namespace::default()
        };
        let spaces = Api::all(self.client.clone());
        spaces.create(&PostParams::default(), &space).await.unwrap();
    }

    /// Ends with the test's runtime.
    fn start_controller(&self, namespace: &str) {
        let image = std::env::var("LABWIRE_IMAGE")
            .unwrap_or_else(|_| concat!("labwire/labwire:", env!("CARGO_PKG_VERSION")).to_owned());
        let settings = ControllerSettings {
            // what is not loaded into the test cluster is not to be had, and is missing at once
            image_pull_policy: Some("Never".into()),
            seccomp: Seccomp::Localhost("lab.json".into()),
            // the test cluster has two cores for everything
            cpu_overcommit: 100,
            ..ControllerSettings::new(namespace, namespace, image, "contract")
        };
        let controller = Controller::new(self.client.clone(), settings, &Registry::new()).unwrap();
        let stop = self.stop.clone();
        tokio::spawn(async move { controller.run(stop).await });
    }

    /// An adapter of the installation that is named like its namespace.
    pub fn adapter(&self, installation: &str, namespace: &str, connect: Connect) -> Arc<KubernetesRuntime> {
        Arc::new(KubernetesRuntime::new(
            &self.client,
            &KubernetesOptions {
                installation: installation.to_owned(),
                namespace: namespace.to_owned(),
                connect,
            },
        ))
    }

    /// An adapter of ours that reaches the API server through a gate; agents it reaches directly.
    pub async fn gated(&self) -> (Gate, Arc<KubernetesRuntime>) {
        let mut config = match &self.kubeconfig {
            None => Config::infer().await.unwrap(),
            Some(path) => {
                let file = Kubeconfig::read_from(path).unwrap();
                let options = KubeConfigOptions::default();
                Config::from_custom_kubeconfig(file, &options).await.unwrap()
            }
        };
        let server = config.cluster_url.clone();
        let host = server.host().unwrap();
        let gate = Gate::before(format!("{host}:{}", server.port_u16().unwrap_or(443))).await;
        // the certificate is still that of the server itself
        config.tls_server_name = Some(host.to_owned());
        config.cluster_url = format!("https://{}", gate.address).parse().unwrap();
        config.default_retry = false;
        let options = KubernetesOptions {
            installation: self.ours.clone(),
            namespace: self.ours.clone(),
            connect: Connect::Pod,
        };
        let client = Client::try_from(config).unwrap();
        (gate, Arc::new(KubernetesRuntime::new(&client, &options)))
    }

    pub fn ours(&self) -> &str {
        &self.ours
    }
}

#[async_trait]
impl RuntimeRig for Rig {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.adapter(&self.ours, &self.ours, Connect::Pod)
    }

    fn foreign(&self) -> Arc<dyn Runtime> {
        self.adapter(&self.theirs, &self.theirs, Connect::Pod)
    }

    fn image(&self) -> String {
        IMAGE.into()
    }

    fn agent_socket(&self, _id: SandboxId) -> String {
        "/labwire/run/agent.sock".into()
    }

    /// From the node, which is this machine: inside its pod nobody can kill the first process.
    async fn kill_agent(&self, id: SandboxId) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.ours);
        let name = object_name(id);
        let pod = eventually("the pod is made", || async { pods.get_opt(&name).await.unwrap() }).await;
        let uid = pod.uid().unwrap();
        let agent = eventually("the agent's process is found on this machine", || async {
            processes_of(&uid).into_iter().find(|(_, name)| name == "lab-agent")
        });
        let (pid, _) = agent.await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
}

/// Processes in a pod's control group: number and name.
fn processes_of(pod_uid: &str) -> Vec<(i32, String)> {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let inside = read(entry.path().join("cgroup")).contains(pod_uid);
        inside.then(|| (pid, read(entry.path().join("comm")).trim().to_owned()))
    })
    .collect()
}

impl Drop for Rig {
    /// On a thread with a runtime of its own, as nothing can be awaited here.
    fn drop(&mut self) {
        self.stop.cancel();
        let spaces = [self.ours.clone(), self.theirs.clone()];
        let kubeconfig = self.kubeconfig.clone();
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = client(kubeconfig.as_deref()).await;
                for space in spaces {
                    remove_namespace(&client, &space).await;
                }
            });
        });
        assert!(
            cleaner.join().is_ok() || std::thread::panicking(),
            "the namespaces are removed"
        );
    }
}

/// No finalizer may hold it when no controller runs any more.
async fn remove_namespace(client: &Client, name: &str) {
    let objects: Api<LabSandbox> = Api::namespaced(client.clone(), name);
    for object in objects.list(&ListParams::default()).await.unwrap() {
        let free = serde_json::json!({"metadata": {"finalizers": null}});
        // why the result is dropped: what went in between needs no freeing
        let _ = objects
            .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(free))
            .await;
    }
    let spaces: Api<Namespace> = Api::all(client.clone());
    spaces.delete(name, &DeleteParams::default()).await.unwrap();
}

/// None when the environment names one.
fn kubeconfig() -> Option<PathBuf> {
    if std::env::var_os("KUBECONFIG").is_some() {
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cluster");
    let said = Command::new(script).arg("env").output().unwrap();
    assert!(
        said.status.success(),
        "no cluster: {}; `make cluster` starts one",
        String::from_utf8_lossy(&said.stderr)
    );
    let said = String::from_utf8(said.stdout).unwrap();
    let line = said.lines().find_map(|l| l.strip_prefix("export KUBECONFIG="));
    Some(line.expect("scripts/cluster env names it").trim_matches('\'').into())
}

async fn client(kubeconfig: Option<&Path>) -> Client {
    cluster_client(kubeconfig)
        .await
        .expect("a cluster; `make cluster` starts one")
}

async fn ensure_crd(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = LabSandbox::crd();
    let params = PatchParams::apply("labwire-tests").force();
    let name = definition.name_any();
    let applied = definitions.patch(&name, &params, &Patch::Apply(&definition)).await;
    applied.expect("the cluster answers, and takes the definition");
    let established = await_condition(definitions, &name, is_crd_established());
    tokio::time::timeout(SOON, established).await.unwrap().unwrap();
}
