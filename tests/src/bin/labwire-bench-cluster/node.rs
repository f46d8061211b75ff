//! A stand-in for a node with thousands of pods: it says that it is ready, marks pods that the real scheduler binds to it as running,
//! and points them at [`Agents`]. Everything else of the cluster is real.

use crate::{agents::Agents, api::Api};
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use lab_core::{Timestamp, port::Clock};
use lab_testkit::TokioClock;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

/// A node that is not heard of for 40 s is not ready.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// Pods started at once: a real kubelet starts some ten at once, a thousand nodes start more.
const STARTING_MAX: usize = 32;

/// Runs until it is dropped; [`StandIn::remove`] takes the node away.
pub struct StandIn {
    pub name: String,
    work: JoinHandle<()>,
    beat: JoinHandle<()>,
    api: Arc<Api>,
}

impl StandIn {
    pub async fn start(api: Arc<Api>, name: &str) -> Result<Self> {
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"labwire.dev/bench": name}},
            "spec": {"taints": [{"key": "labwire.dev/bench", "value": name, "effect": "NoSchedule"}]},
        });
        api.post("/api/v1/nodes", &node).await.context("the node")?;
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now()},
        });
        api.post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", &lease)
            .await
            .context("the node's lease")?;
        say_ready(&api, name).await?;
        let agents = Arc::new(Agents::listen().await?);
        let work = tokio::spawn(work(api.clone(), name.to_owned(), agents));
        let beat = tokio::spawn(beat(api.clone(), name.to_owned()));
        Ok(Self {
            name: name.to_owned(),
            work,
            beat,
            api,
        })
    }

    pub async fn remove(self) -> Result<()> {
        self.api.delete(&format!("/api/v1/nodes/{}", self.name)).await?;
        let lease = format!(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}",
            self.name
        );
        self.api.delete(&lease).await
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.work.abort();
        self.beat.abort();
    }
}

/// Kubernetes' Time, UTC.
fn whole_second() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).to_string()
}

/// Kubernetes' `MicroTime`, UTC: it wants six digits.
fn now() -> String {
    format!("{}.000000Z", whole_second().trim_end_matches('Z'))
}

async fn say_ready(api: &Api, name: &str) -> Result<()> {
    let room = json!({"cpu": "100000", "memory": "100Ti", "pods": "10000", "ephemeral-storage": "100Ti"});
    let status = json!({"status": {
        "capacity": room,
        "allocatable": room,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "StandIn", "message": "it says so",
            "lastHeartbeatTime": whole_second(),
        }],
    }});
    api.patch(&format!("/api/v1/nodes/{name}/status"), &status).await?;
    Ok(())
}

async fn beat(api: Arc<Api>, name: String) {
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
    let mut tick = tokio::time::interval(BEAT_EVERY);
    loop {
        tick.tick().await;
        let alive = async {
            api.patch(&lease, &json!({"spec": {"renewTime": now()}})).await?;
            say_ready(&api, &name).await
        };
        if let Err(error) = alive.await {
            eprintln!("stand-in node: {error:#}");
        }
    }
}

/// What is known of a pod: absent, being started, or at its address.
type Pods = Arc<Mutex<HashMap<String, Option<Ipv4Addr>>>>;

async fn work(api: Arc<Api>, name: String, agents: Arc<Agents>) {
    let pods = Pods::default();
    let places = Arc::new(Semaphore::new(STARTING_MAX));
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::default());
    let mut tasks = JoinSet::new();
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{name}&watch=true");
    loop {
        // without a resource version a watch begins with everything there is; known pods are passed over
        let Ok(events) = api.watch(&path).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let mut events = std::pin::pin!(events);
        while let Some(Ok((kind, pod))) = events.next().await {
            while tasks.try_join_next().is_some() {}
            let (api, agents, pods) = (api.clone(), agents.clone(), pods.clone());
            let (places, clock) = (places.clone(), clock.clone());
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                if let Err(error) = on_pod(&api, &agents, &pods, &clock, &kind, &pod).await {
                    eprintln!("stand-in pod {}: {error:#}", pod["metadata"]["name"]);
                }
            });
        }
    }
}

async fn on_pod(
    api: &Api,
    agents: &Agents,
    pods: &Pods,
    clock: &Arc<dyn Clock>,
    kind: &str,
    pod: &Value,
) -> Result<()> {
    let meta = &pod["metadata"];
    let (Some(uid), Some(name), Some(namespace)) =
        (meta["uid"].as_str(), meta["name"].as_str(), meta["namespace"].as_str())
    else {
        return Ok(());
    };
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    if kind == "DELETED" || meta["deletionTimestamp"].is_string() {
        let known = pods.lock().expect("nothing panics while it holds this").remove(uid);
        if let Some(Some(address)) = known {
            agents.remove(address);
        }
        return if kind == "DELETED" {
            Ok(())
        } else {
            api.delete(&path).await
        };
    }
    let first = pods
        .lock()
        .expect("nothing panics while it holds this")
        .insert(uid.to_owned(), None)
        .is_none();
    if !first {
        return Ok(());
    }
    let secret = api
        .get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}"))
        .await?;
    let entry = |key: &str| -> Result<Vec<u8>> {
        let text = secret["data"][key].as_str().with_context(|| format!("no {key}"))?;
        Ok(STANDARD.decode(text)?)
    };
    let address = agents.add(entry, clock.clone())?;
    pods.lock()
        .expect("nothing panics while it holds this")
        .insert(uid.to_owned(), Some(address));
    api.patch(&format!("{path}/status"), &running(pod, address)).await?;
    Ok(())
}

/// The status a kubelet gives to a pod that runs.
fn running(pod: &Value, address: Ipv4Addr) -> Value {
    let started = whole_second();
    let container = |c: &Value, state: Value, ready: bool| {
        json!({
            "name": c["name"], "image": c["image"], "imageID": "stand-in", "containerID": "stand-in://1",
            "restartCount": 0, "ready": ready, "started": ready, "state": state,
        })
    };
    let list = |key: &str| pod["spec"][key].as_array().cloned().unwrap_or_default();
    let done =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": started}});
    let runs = json!({"running": {"startedAt": started}});
    let condition = |kind: &str| json!({"type": kind, "status": "True"});
    let inits: Vec<Value> = list("initContainers")
        .iter()
        .map(|c| container(c, done.clone(), true))
        .collect();
    let mains: Vec<Value> = list("containers")
        .iter()
        .map(|c| container(c, runs.clone(), true))
        .collect();
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    json!({"status": {
        "phase": "Running",
        "podIP": address.to_string(),
        "podIPs": [{"ip": address.to_string()}],
        "hostIP": "127.0.0.1",
        "startTime": started,
        "initContainerStatuses": inits,
        "containerStatuses": mains,
        "conditions": conditions,
    }})
}
