//! Bad days of an installation on Kubernetes: the chart, three replicas, two controllers, real pods. What an ordinary day is there
//! stands in `flow`.

use anyhow::{Context, Result, ensure};
use lab_core::terminal::ToBrowser;
use lab_e2e::{
    Api, Cluster, GONE_WITHIN, Options, Pace, Server, Tab, Typed, eventually, kubectl, prove_recorded, script, type_on,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

const SH: u16 = 0;
/// How long a part of the cluster is away.
const AWAY: Duration = Duration::from_secs(60);
/// Pods that fit the two CPUs of the test cluster's node beside everything else.
const LEARNERS: usize = 4;
/// The promise of drains and crashes.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A learner waits a minute at most for their last line, and may come back once before (`typist.rs`).
const ENDED_WITHIN: Duration = Duration::from_secs(150);
/// Cluster and replicas on two busy cores.
const SOON: Duration = Duration::from_secs(60);

/// Learners who type until they are told to stop.
struct Class {
    typists: JoinSet<Result<Typed>>,
    stop: watch::Sender<bool>,
}

impl Class {
    async fn begin(server: &Server, learners: usize) -> Result<Self> {
        let begun = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = watch::channel(false);
        let mut typists = JoinSet::new();
        for n in 0..learners {
            let (api, session) = server.learner(&format!("learner-{n}"), "shell").await?;
            typists.spawn(type_on(api, session, begun.clone(), stopped.clone()));
        }
        eventually("every learner types", SOON * 2, || async {
            Ok((begun.load(Relaxed) == learners).then_some(()))
        })
        .await?;
        Ok(Self { typists, stop })
    }

    /// Has everybody finish; proves that no byte was lost or doubled. The pauses that were felt, shortest first.
    async fn end(mut self) -> Result<Vec<Duration>> {
        self.stop.send_replace(true);
        let mut pauses = Vec::new();
        while let Some(typed) = tokio::time::timeout(ENDED_WITHIN, self.typists.join_next())
            .await
            .with_context(|| format!("{} learners are not done within {ENDED_WITHIN:?}", self.typists.len()))?
        {
            let typed = typed??;
            prove_recorded(&typed)
                .await
                .with_context(|| format!("session {}", typed.session))?;
            pauses.extend(typed.pauses);
        }
        pauses.sort_unstable();
        Ok(pauses)
    }
}

/// Lets a part of the cluster be away for so long, with everybody at work; that is the test, and not a wait for something.
async fn meanwhile() {
    tokio::time::sleep(AWAY).await;
}

async fn ends_with_reason(api: &Api, session: &str) -> Result<Value> {
    eventually("the session is over and settled", SOON, || async {
        let view = api.get(&format!("/sessions/{session}")).await?;
        let over = view["state"] == "failed" || (view["state"] == "ended" && view["billed_secs"].is_i64());
        Ok(over.then_some(view))
    })
    .await
}

async fn told(tab: &Tab, what: &str, within: Duration, wanted: impl Fn(&str) -> bool) -> Result<()> {
    tab.message(what, within.as_secs(), |m| {
        let text = match m {
            ToBrowser::Session(_) => serde_json::to_string(m).unwrap_or_default(),
            _ => return None,
        };
        wanted(&text).then_some(())
    })
    .await
}

fn pods(cluster: &Cluster, component: &str) -> Result<Vec<String>> {
    let selector = format!("app.kubernetes.io/component={component}");
    let names = kubectl(&[
        "get",
        "pods",
        "-n",
        &cluster.installation,
        "-l",
        &selector,
        "-o",
        "name",
    ])?;
    Ok(names.lines().map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_deleted_by_hand_ends_its_session_with_a_reason_and_costs_nothing() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let labs = server.cluster()?.labs();
    let selector = format!("labwire.dev/session={session}");
    kubectl(&[
        "delete",
        "pod",
        "-n",
        &labs,
        "-l",
        &selector,
        "--grace-period=0",
        "--force",
    ])?;
    let over = ends_with_reason(&learner, &session).await?;
    ensure!(over["reason"] == "sandbox-lost" && over["billed_secs"] == 0, "{over}");
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_does_not_exist_fails_in_words_and_a_quota_that_is_full_makes_wait() -> Result<()> {
    let mut options = Options::cluster();
    let shell = options.labs[0].1.clone();
    let missing = shell
        .replace("id: shell", "id: missing")
        .replace("image: labwire/frr:1", "image: labwire/nowhere:9");
    options.labs.push(("missing".into(), missing));
    let server = Server::start(options).await?;

    server.grant("lin", 3600)?;
    let lin = Api::launch(&server.url, &server.link("lin", "missing")?).await?;
    let session = lin.start("missing").await?;
    let over = ends_with_reason(&lin, &session).await?;
    ensure!(over["state"] == "failed" && over["reason"] == "image-missing", "{over}");

    let labs = server.cluster()?.labs();
    kubectl(&["create", "quota", "full", "-n", &labs, "--hard=pods=0"])?;
    server.grant("ada", 3600)?;
    let ada = Api::launch(&server.url, &server.link("ada", "shell")?).await?;
    let session = ada.start("shell").await?;
    let tab = Tab::open(&ada, &session, Pace::Fast).await?;
    told(&tab, "the learner is told what it waits for", SOON, |m| {
        m.contains("quota")
    })
    .await?;
    kubectl(&["delete", "quota", "full", "-n", &labs])?;
    tab.attach_ready(SH).await?;
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_api_server_running_terminals_do_not_notice() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let class = Class::begin(&server, LEARNERS).await?;
    script("cluster", &["stop", "apiserver"])?;
    meanwhile().await;
    script("cluster", &["start", "apiserver"])?;
    let pauses = class.end().await?;
    ensure!(pauses.is_empty(), "learners were cut off: {pauses:?}");
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_ready_keeps_its_terminals_and_comes_back() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let class = Class::begin(&server, LEARNERS).await?;
    script("cluster", &["stop", "kubelet"])?;
    eventually("the node is not ready", SOON, || async {
        let ready = kubectl(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}",
        ])?;
        Ok((!ready.contains("True")).then_some(()))
    })
    .await?;
    // what would be lost now is the platform's: nobody is billed for it
    let labs = server.cluster()?.labs();
    let doubted = || -> Result<usize> {
        let reasons = kubectl(&[
            "get",
            "labsandboxes",
            "-n",
            &labs,
            "-o",
            "jsonpath={.items[*].status.reason}",
        ])?;
        Ok(reasons.split_whitespace().filter(|r| *r == "NodeNotReady").count())
    };
    eventually("every sandbox is doubted", SOON, || async {
        Ok((doubted()? == LEARNERS).then_some(()))
    })
    .await?;
    script("cluster", &["start", "kubelet"])?;
    eventually("none is doubted any more", SOON, || async {
        Ok((doubted()? == 0).then_some(()))
    })
    .await?;
    let pauses = class.end().await?;
    // a Service leaves out pods of a node that is not ready: who comes new finds no door, who is there stays
    ensure!(pauses.is_empty(), "learners were cut off: {pauses:?}");
    eventually("the replicas are served again", SOON, || async {
        let client = lab_e2e::client();
        Ok(client
            .get(format!("{}/readyz", server.url))
            .send()
            .await?
            .status()
            .is_success()
            .then_some(()))
    })
    .await?;
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_terminals_go_on_and_launches_say_why_they_wait() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    server.grant("late", 600)?;
    let token = server.link("late", "shell")?;
    let class = Class::begin(&server, LEARNERS).await?;
    let database = &server.cluster()?.database;
    database.shut();
    // at once, and when every probe has long noticed
    for later in [false, true] {
        if later {
            meanwhile().await;
        }
        let refused = Api::launch(&server.url, &token)
            .await
            .err()
            .context("a launch without a database")?;
        let refused = refused.downcast_ref::<lab_e2e::ApiError>().context("an answer")?;
        ensure!(
            refused.status == 503 && refused.body["code"] == "store-unavailable",
            "{refused}"
        );
    }
    database.open();
    let late = eventually("launches work again", SOON, || async {
        Ok(Api::launch(&server.url, &token).await.ok())
    })
    .await?;
    ensure!(late.login["role"] == "learner", "{}", late.login);
    class.end().await?;
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_storage_that_refuses_costs_no_byte() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let class = Class::begin(&server, LEARNERS).await?;
    let objects = &server.cluster()?.objects;
    objects.shut();
    meanwhile().await;
    objects.open();
    let pauses = class.end().await?;
    ensure!(pauses.is_empty(), "learners were cut off: {pauses:?}");
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_is_a_short_pause() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let class = Class::begin(&server, LEARNERS).await?;
    let cluster = server.cluster()?;
    for pod in pods(cluster, "serve")? {
        kubectl(&[
            "delete",
            &pod,
            "-n",
            &cluster.installation,
            "--grace-period=0",
            "--force",
        ])?;
        cluster.all_replicas(SOON * 2).await?;
    }
    let pauses = class.end().await?;
    println!("pauses {pauses:?}");
    ensure!(pauses.iter().all(|p| *p < PAUSE_MAX), "{pauses:?}");
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_loses_nothing_and_nobody_waits_two_seconds() -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let class = Class::begin(&server, LEARNERS).await?;
    let cluster = server.cluster()?;
    let installation = &cluster.installation;
    let old = pods(cluster, "serve")?;
    kubectl(&["rollout", "restart", "deployment", "-n", installation])?;
    let deployments = kubectl(&["get", "deployments", "-n", installation, "-o", "name"])?;
    for deployment in deployments.lines() {
        kubectl(&["rollout", "status", deployment, "-n", installation, "--timeout=300s"])?;
    }
    // a rollout is over when the new ones serve; the old ones may still say goodbye
    eventually("the old replicas are gone", GONE_WITHIN, || async {
        let left = pods(cluster, "serve")?;
        Ok((!left.iter().any(|pod| old.contains(pod))).then_some(()))
    })
    .await?;
    let pauses = class.end().await?;
    println!("pauses {pauses:?}");
    ensure!(
        pauses.len() >= LEARNERS,
        "every replica was replaced, and only {} learners noticed",
        pauses.len()
    );
    ensure!(pauses.iter().all(|p| *p < PAUSE_MAX), "{pauses:?}");
    server.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_that_are_killed_again_and_again_still_make_every_sandbox() -> Result<()> {
    const KILLS: usize = 5;
    let server = Server::start(Options::cluster()).await?;
    let cluster = server.cluster()?;
    for n in 0..KILLS {
        let name = format!("learner-{n}");
        server.grant(&name, 600)?;
        let api = Api::launch(&server.url, &server.link(&name, "shell")?).await?;
        let session = api.start("shell").await?;
        for pod in pods(cluster, "controller")? {
            kubectl(&[
                "delete",
                &pod,
                "-n",
                &cluster.installation,
                "--grace-period=0",
                "--force",
            ])?;
        }
        let since = Instant::now();
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        tab.attach_ready(SH).await.with_context(|| cluster.what_is_there())?;
        println!("kill {n}: ready {:?} after it", since.elapsed());
        api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    }
    server.finish().await
}
