//! 2,500 learners click within a minute.

use crate::{api::Api as Kubernetes, fleet::Fleet, node::StandIn};
use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, ApiError, Must, Report, percentile};
use serde_json::json;
use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CLICKS_WITHIN: Duration = Duration::from_secs(60);
const READY_WITHIN: Duration = Duration::from_secs(600);

fn sandboxes() -> usize {
    std::env::var("LABWIRE_BENCH_SANDBOXES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2500)
}

/// What became of one click.
struct Click {
    took_ms: f64,
    /// 5xx answers on the way.
    failures: usize,
    session: Option<(Api, String)>,
}

pub async fn measure(report: &mut Report) -> Result<()> {
    let n = sandboxes();
    let kubernetes = Arc::new(Kubernetes::start().await?);
    let name = format!("bench-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let node = StandIn::start(kubernetes.clone(), &name).await?;
    let fleet = Fleet::start(&name, n + 100).await?;
    let outcome = run(report, &fleet, n).await;
    if outcome.is_err() {
        eprintln!("{}", fleet.logs());
    }
    node.remove().await?;
    fleet.end().await?;
    outcome
}

async fn run(report: &mut Report, fleet: &Fleet, n: usize) -> Result<()> {
    let tokens = tokens(fleet, n)?;
    let cpu_before = cpu_secs(fleet.controller_pid()?)?;
    let requests_before = requests(fleet).await?;
    let start = Instant::now();
    let clicks = storm(fleet, &tokens).await?;
    let took: Vec<f64> = clicks.iter().map(|c| c.took_ms).collect();
    let failures: usize = clicks.iter().map(|c| c.failures).sum();
    report.add(
        "launch_storm_5xx",
        failures as f64,
        "",
        Must::AtMost(0.0),
        &[failures as f64],
    )?;
    report.add(
        "launch_storm_answer_p99_ms",
        percentile(&took, 99.0),
        "ms",
        Must::AtMost(2000.0),
        &took,
    )?;

    let mut ready = 0;
    while ready < n {
        ensure!(
            start.elapsed() < READY_WITHIN,
            "{ready} of {n} are ready after {READY_WITHIN:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        ready = fleet.count("select count(*) from session where state = 'ready'")?;
    }
    let ready_s = start.elapsed().as_secs_f64();
    report.add("sandboxes_2500_ready_s", ready_s, "s", Must::AtMost(300.0), &[ready_s])?;
    let rss = peak_rss_mb(fleet.controller_pid()?)?;
    report.add("controller_rss_mb", rss, "MB", Must::AtMost(300.0), &[rss])?;
    let cpu = cpu_secs(fleet.controller_pid()?)? - cpu_before;
    println!("  controller: {:.2} cores on average", cpu / ready_s);

    stop(clicks).await?;
    let ends = Instant::now();
    while fleet.count("select count(*) from session where state not in ('ended', 'failed')")? > 0 {
        ensure!(ends.elapsed() < READY_WITHIN, "sessions do not end");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let requests = (requests(fleet).await? - requests_before) / n as f64;
    report.add(
        "api_requests_per_sandbox",
        requests,
        "",
        Must::AtMost(20.0),
        &[requests],
    )
}

/// A launch token for each learner.
fn tokens(fleet: &Fleet, n: usize) -> Result<Vec<String>> {
    let mut class = String::new();
    for learner in 0..n {
        writeln!(class, "learner{learner}")?;
    }
    let class = fleet.file("class.csv", &class)?.display().to_string();
    fleet.cli(&[
        "grant",
        "--learners",
        &class,
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "3600",
    ])?;
    let links = fleet.cli(&[
        "link",
        "--learners",
        &class,
        "--course",
        "net",
        "--lab",
        "shell",
        "--valid",
        "2h",
    ])?;
    links
        .lines()
        .map(|l| Ok(l.split_once("token=").context("a link")?.1.to_owned()))
        .collect()
}

/// Clicks at an even pace, each at the next replica.
async fn storm(fleet: &Fleet, tokens: &[String]) -> Result<Vec<Click>> {
    let start = Instant::now();
    let mut under_way = JoinSet::new();
    for (n, token) in tokens.iter().enumerate() {
        let due = start + CLICKS_WITHIN.mul_f64(n as f64 / tokens.len() as f64);
        tokio::time::sleep_until(due.into()).await;
        let (url, token) = (fleet.urls[n % fleet.urls.len()].clone(), token.clone());
        under_way.spawn(async move { click(&url, &token).await });
    }
    let mut clicks = Vec::new();
    while let Some(click) = under_way.join_next().await {
        clicks.push(click??);
    }
    Ok(clicks)
}

/// A link opened and its lab started: the answer is a session, or a place in the queue.
async fn click(url: &str, token: &str) -> Result<Click> {
    let start = Instant::now();
    let attempt = async {
        let api = Api::launch(url, token).await?;
        let session = api.start("shell").await?;
        anyhow::Ok((api, session))
    };
    let (session, failures) = match attempt.await {
        Ok(session) => (Some(session), 0),
        Err(error) => match error.downcast_ref::<ApiError>() {
            Some(answer) if answer.status >= 500 => (None, 1),
            _ => return Err(error),
        },
    };
    Ok(Click {
        took_ms: start.elapsed().as_secs_f64() * 1e3,
        failures,
        session,
    })
}

/// Every learner stops, some at once.
async fn stop(clicks: Vec<Click>) -> Result<()> {
    const AT_ONCE: usize = 32;
    let mut under_way = JoinSet::new();
    for (api, session) in clicks.into_iter().filter_map(|c| c.session) {
        if under_way.len() >= AT_ONCE {
            drop(under_way.join_next().await.context("one is under way")???);
        }
        under_way.spawn(async move { api.post(&format!("/sessions/{session}/stop"), &json!({})).await });
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

/// Requests to the API server, of the controller and of every replica, as they count them themselves: lists, watches and leases
/// included.
async fn requests(fleet: &Fleet) -> Result<f64> {
    let of = async |address: &str, metric: &str| -> Result<f64> {
        let answer = lab_e2e::client().get(format!("{address}/metrics")).send().await?;
        let text = answer.error_for_status()?.text().await?;
        ensure!(text.contains(metric), "{address} does not count {metric}");
        Ok(sum(&text, metric))
    };
    let mut all = of(&fleet.controller_metrics, "labwire_controller_api_requests_total").await?;
    for url in &fleet.urls {
        all += of(url, "labwire_kubernetes_requests_total").await?;
    }
    Ok(all)
}

/// Sum of a metric's samples.
fn sum(metrics: &str, name: &str) -> f64 {
    metrics
        .lines()
        .filter(|l| l.starts_with(name))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn peak_rss_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().next().context("a number")?.parse()?;
    Ok(kib / 1024.0)
}

/// Processor time so far: fields 14 and 15 of `stat`, in hundredths of a second.
fn cpu_secs(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("stat")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>)
        .sum::<Result<_, _>>()?;
    Ok(ticks / 100.0)
}
