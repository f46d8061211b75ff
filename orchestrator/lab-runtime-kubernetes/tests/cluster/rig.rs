//! A namespace of its own for each test, controllers in it, and what is left when it ends.

use super::faults::{Faults, faulty};
use futures_util::FutureExt;
use k8s_openapi::{
    api::{
        core::v1::{Event, Namespace, Pod, Secret, ServiceAccount},
        networking::v1::NetworkPolicy,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, CustomResourceExt, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::wait::{Condition, await_condition},
};
use lab_core::{SandboxId, SessionId, lab::LabVersion, port::SandboxSpec};
use lab_runtime_kubernetes::{
    api::{LabSandbox, SERVE_MANAGER, object_name},
    controller::{Controller, ControllerSettings, LeaseTimes, Seccomp, cluster_client},
};
use prometheus::Registry;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock, Once},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// For anything that takes a pod or two. Two cores may carry a dozen pods of other tests, whose node then takes half a minute to remove one.
pub const SOON: Duration = Duration::from_secs(120);

/// A leader's times, shorter than usual: tests wait for them.
pub const LEASE: LeaseTimes = LeaseTimes {
    duration: Duration::from_secs(5),
    renew: Duration::from_millis(500),
    write: Duration::from_secs(3),
};

/// Labwire's image: `make images` makes it; `LABWIRE_IMAGE` names another.
pub fn labwire_image() -> String {
    let made = concat!("labwire/labwire:", env!("CARGO_PKG_VERSION"));
    std::env::var("LABWIRE_IMAGE").unwrap_or_else(|_| made.into())
}

pub struct Rig {
    pub client: Client,
    pub namespace: String,
}

/// A controller of this process.
pub struct Running {
    pub registry: Registry,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// As by SIGTERM.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As by SIGKILL: nothing is ended, nothing is given back.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Requests of its metrics, without those that a lease and a watch cost however few sandboxes there are.
    pub fn requests(&self) -> u64 {
        let families = self.registry.gather();
        let requests = families
            .iter()
            .find(|f| f.name() == "labwire_controller_api_requests_total")
            .unwrap();
        let label = |m: &prometheus::proto::Metric, name: &str| {
            m.get_label()
                .iter()
                .find(|l| l.name() == name)
                .unwrap()
                .value()
                .to_owned()
        };
        let counted = requests.get_metric().iter().filter(|m| {
            let list = label(m, "verb") == "get" && label(m, "resource") != "secrets";
            label(m, "resource") != "leases" && label(m, "verb") != "watch" && !list
        });
        counted.map(|m| m.get_counter().get_value() as u64).sum()
    }
}

/// Runs a test in a namespace of its own, and says what is there when it fails.
pub async fn with_rig<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Arc<Rig>) -> F) {
    start_logging();
    let client = client().await;
    ensure_crd(&client).await;
    let random = Uuid::now_v7().simple().to_string();
    let namespace = format!("rt-{name}-{}", &random[20..]);
    let spaces: Api<Namespace> = Api::all(client.clone());
    let space = Namespace {
        metadata: ObjectMeta {
            name: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    spaces
        .create(&PostParams::default(), &space)
        .await
        .expect("the cluster answers");
    // no pod is let in before
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let there = |account: Option<&ServiceAccount>| account.is_some();
    tokio::time::timeout(SOON, await_condition(accounts, "default", there))
        .await
        .unwrap()
        .unwrap();
    let rig = Arc::new(Rig { client, namespace });
    let outcome = AssertUnwindSafe(test(Arc::clone(&rig))).catch_unwind().await;
    if outcome.is_err() {
        rig.explain().await;
    }
    rig.clean_up().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn start_logging() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter =
            std::env::var("LABWIRE_LOG").unwrap_or_else(|_| "info,kube=off,kube_client=off,kube_runtime=off".into());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .init();
    });
}

/// A client of the cluster of `KUBECONFIG`, else of the one that `scripts/cluster` runs.
pub async fn client() -> Client {
    static OURS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        if std::env::var_os("KUBECONFIG").is_some() {
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cluster");
        let said = Command::new(script)
            .arg("env")
            .output()
            .expect("scripts/cluster can be started");
        assert!(
            said.status.success(),
            "no cluster: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        let said = String::from_utf8(said.stdout).unwrap();
        let line = said.lines().find_map(|l| l.strip_prefix("export KUBECONFIG="));
        Some(line.expect("scripts/cluster env names it").trim_matches('\'').into())
    });
    cluster_client(OURS.as_deref())
        .await
        .expect("a cluster; `make cluster` starts one")
}

async fn ensure_crd(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = LabSandbox::crd();
    let params = PatchParams::apply("labwire-tests").force();
    crds.patch(&crd.name_any(), &params, &Patch::Apply(&crd))
        .await
        .expect("the cluster takes the definition");
    let established = kube::runtime::conditions::is_crd_established();
    tokio::time::timeout(SOON, await_condition(crds, &crd.name_any(), established))
        .await
        .unwrap()
        .unwrap();
}

impl Rig {
    pub fn settings(&self, identity: &str) -> ControllerSettings {
        ControllerSettings {
            image_pull_policy: Some("IfNotPresent".into()),
            seccomp: Seccomp::Localhost("lab.json".into()),
            proc_mount_unmasked: true,
            // the test cluster has two cores for everything
            cpu_overcommit: 100,
            lease: LEASE,
            ..ControllerSettings::new("labwire", &self.namespace, labwire_image(), identity)
        }
    }

    /// A controller with the usual settings.
    pub async fn controller(&self, identity: &str) -> Running {
        self.controller_with(self.settings(identity), Faults::none()).await
    }

    pub async fn controller_with(&self, settings: ControllerSettings, faults: Faults) -> Running {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let client = faulty(client().await, faults);
        let controller = Controller::new(client, settings, &registry).unwrap();
        let token = stop.clone();
        let task = tokio::spawn(async move { controller.run(token).await });
        Running { registry, stop, task }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Asks for a sandbox as `serve` does; its name.
    pub async fn ask(&self, spec: &SandboxSpec) -> String {
        self.ask_as("labwire", spec).await
    }

    pub async fn ask_as(&self, installation: &str, spec: &SandboxSpec) -> String {
        let name = object_name(spec.id);
        let params = PatchParams::apply(SERVE_MANAGER).force();
        let object = LabSandbox::of(installation, spec);
        self.api::<LabSandbox>()
            .patch(&name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
        name
    }

    pub async fn drop_sandbox(&self, name: &str) {
        self.api::<LabSandbox>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Waits until the sandbox is so, or fails with what it is.
    pub async fn until(&self, name: &str, what: &str, so: impl Condition<LabSandbox>) -> LabSandbox {
        let api = self.api::<LabSandbox>();
        if let Ok(object) = tokio::time::timeout(SOON, await_condition(api.clone(), name, so)).await {
            return object.unwrap().unwrap();
        }
        panic!("{name} is not {what} within {SOON:?}: {:#?}", api.get_opt(name).await)
    }

    pub async fn until_phase(&self, name: &str, phase: &str, reason: Option<&str>) -> LabSandbox {
        let so = |object: Option<&LabSandbox>| {
            object
                .and_then(|o| o.status.as_ref())
                .is_some_and(|s| s.phase.name() == phase && reason.is_none_or(|r| s.reason.as_deref() == Some(r)))
        };
        self.until(name, &format!("{phase}/{reason:?}"), so).await
    }

    /// Waits until nothing is left of any sandbox, but its events.
    pub async fn until_nothing_is_left(&self) {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let left = self.left().await;
            if left.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "left over: {left:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn left(&self) -> Vec<String> {
        let all = ListParams::default();
        let named = |kind: &str, names: Vec<String>| {
            names
                .into_iter()
                .map(move |n| format!("{kind}/{n}"))
                .collect::<Vec<_>>()
        };
        let name_of = |metadata: &ObjectMeta| metadata.name.clone().unwrap();
        let mut left = Vec::new();
        let objects = self.api::<LabSandbox>().list_metadata(&all).await.unwrap();
        left.extend(named(
            "labsandbox",
            objects.iter().map(|o| name_of(&o.metadata)).collect(),
        ));
        let pods = self.api::<Pod>().list_metadata(&all).await.unwrap();
        left.extend(named("pod", pods.iter().map(|o| name_of(&o.metadata)).collect()));
        let secrets = self
            .api::<Secret>()
            .list(&all.clone().labels("app.kubernetes.io/name=labwire"))
            .await
            .unwrap();
        left.extend(named("secret", secrets.iter().map(|o| name_of(&o.metadata)).collect()));
        let policies = self.api::<NetworkPolicy>().list_metadata(&all).await.unwrap();
        left.extend(named(
            "networkpolicy",
            policies.iter().map(|o| name_of(&o.metadata)).collect(),
        ));
        left
    }

    /// (reason, note) of each event on the object, as `kubectl describe` finds them.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let about = ListParams::default().fields(&format!("involvedObject.name={name},involvedObject.kind=LabSandbox"));
        let events = self.api::<Event>().list(&about).await.unwrap();
        let told = |e: Event| (e.reason.unwrap_or_default(), e.message.unwrap_or_default());
        events.into_iter().map(told).collect()
    }

    /// An object is told of after its status is written: waits until all of these are.
    pub async fn until_told(&self, name: &str, reasons: &[&str]) {
        let told = async {
            loop {
                let events = self.events(name).await;
                if reasons.iter().all(|reason| events.iter().any(|(r, _)| r == reason)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let told = tokio::time::timeout(SOON, told).await;
        assert!(
            told.is_ok(),
            "not told of {name}: {reasons:?}; {:?}",
            self.events(name).await
        );
    }

    /// What a person would ask for first.
    async fn explain(&self) {
        eprintln!("--- what is in {}", self.namespace);
        for object in self
            .api::<LabSandbox>()
            .list(&ListParams::default())
            .await
            .into_iter()
            .flatten()
        {
            eprintln!("{}: {:#?}", object.name_any(), object.status);
        }
        for pod in self
            .api::<Pod>()
            .list(&ListParams::default())
            .await
            .into_iter()
            .flatten()
        {
            eprintln!("pod {}: {:#?}", pod.name_any(), pod.status);
        }
    }

    /// No finalizer may hold the namespace when no controller runs any more.
    async fn clean_up(&self) {
        let api = self.api::<LabSandbox>();
        for object in api.list(&ListParams::default()).await.into_iter().flatten() {
            let free = serde_json::json!({"metadata": {"finalizers": null}});
            let _ = api
                .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(free))
                .await;
        }
        let spaces: Api<Namespace> = Api::all(self.client.clone());
        let _ = spaces.delete(&self.namespace, &DeleteParams::default()).await;
    }
}

/// A sandbox whose lab does nothing.
pub fn idle() -> SandboxSpec {
    let mut spec = ospf_triangle();
    spec.namespaces = false;
    spec.agent.start = vec!["sleep".into(), "86400".into()];
    spec.agent.ready = Vec::new();
    spec.agent.files = Vec::new();
    spec.agent.terminals = Vec::new();
    spec.agent.checks = Vec::new();
    spec
}

/// A sandbox of the lab that ships.
pub fn ospf_triangle() -> SandboxSpec {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../lab-images/frr/labs/ospf-triangle/lab.yaml"
    );
    let lab = LabVersion::parse("lab.yaml", &std::fs::read(path).unwrap()).unwrap();
    let session = SessionId(Uuid::now_v7());
    SandboxSpec {
        id: SandboxId(Uuid::now_v7()),
        session,
        lab: lab.file.id.clone(),
        digest: lab.digest.clone(),
        image: lab.file.image.clone(),
        size: lab.file.size,
        user: lab.file.user,
        namespaces: lab.file.namespaces,
        runtime: lab.file.runtime,
        network: lab.file.network.policy,
        deadline_secs: 3600,
        agent: lab.agent_spec(session),
    }
}
