//! Click to usable prompt in real pods, and which way the bytes go.

use anyhow::{Context, Result};
use lab_e2e::{Api, Must, Options, Pace, Report, Server, Tab, eventually, kubectl, percentile};
use serde_json::json;
use std::time::{Duration, Instant};

const LAB: &str = "ospf-triangle";
const RUNS: usize = 20;
/// Output sent to see that it does not pass the API server.
const FLOOD_BYTES: u64 = 20_000_000;

pub async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(Options::cluster()).await?;
    let samples = clicks(&server, "cold", || async { Ok(()) }).await?;
    report.add(
        "click_to_prompt_cold_p95_ms",
        percentile(&samples, 95.0),
        "ms",
        Must::AtMost(4000.0),
        &samples,
    )?;
    terminal_bytes(&server, report).await?;
    server.finish().await?;

    let mut options = Options::cluster();
    options.config = format!("pools:\n  - {{lab: {LAB}, reserve: 1, max: 2}}\n");
    let server = Server::start(options).await?;
    let operations = server.operations().await?;
    let warm = || async {
        eventually("a sandbox is warm", Duration::from_secs(120), || async {
            let pools = operations.get("/operations/pools").await?;
            Ok((pools[0]["ready"].as_i64() > Some(0)).then_some(()))
        })
        .await
    };
    let samples = clicks(&server, "warm", warm).await?;
    report.add(
        "click_to_prompt_warm_p95_ms",
        percentile(&samples, 95.0),
        "ms",
        Must::AtMost(500.0),
        &samples,
    )?;
    // no `finish`: a pool has a sandbox ready whenever nobody does anything, and goes with its installation
    drop(server);
    Ok(())
}

/// From the POST that starts the session to the first prompt drawn; each run ends its session before the next.
async fn clicks<F: Future<Output = Result<()>>>(
    server: &Server,
    prefix: &str,
    before: impl Fn() -> F,
) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for run in 0..RUNS {
        before().await?;
        let name = format!("{prefix}{run}");
        server.grant(&name, 3600)?;
        let api = Api::launch(&server.url, &server.link(&name, LAB)?).await?;
        let start = Instant::now();
        let session = api.start(LAB).await?;
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        tab.attach_ready(0).await?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
        api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    }
    Ok(samples)
}

/// Connections that the API server relayed (exec, attach, port-forward, proxy) while a terminal flooded: without one, no byte went there.
async fn terminal_bytes(server: &Server, report: &mut Report) -> Result<()> {
    let (api, session) = server.learner("flood", "shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(0).await?;
    let before = relayed()?;
    let target = tab.offset(0) + FLOOD_BYTES;
    tab.type_text(0, "yes\r").await?;
    tab.offset_reaches(0, target, 120).await?;
    let connections = relayed()? - before;
    let bytes = if connections == 0.0 { 0.0 } else { FLOOD_BYTES as f64 };
    report.add(
        "terminal_bytes_through_api_server",
        bytes,
        "B",
        Must::AtMost(0.0),
        &[connections],
    )
}

fn relayed() -> Result<f64> {
    let metrics = kubectl(&["get", "--raw", "/metrics"])?;
    metrics
        .lines()
        .filter(|l| l.starts_with("apiserver_request_total{") && l.contains("verb=\"CONNECT\""))
        .map(|l| {
            l.rsplit(' ')
                .next()
                .and_then(|n| n.parse::<f64>().ok())
                .context("a number")
        })
        .sum()
}
