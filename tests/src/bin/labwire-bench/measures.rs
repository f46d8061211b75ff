//! Each measure sets its own server up and tears it down.

use crate::peer::Terminado;
use anyhow::{Context, Result, ensure};
use lab_core::terminal::FromBrowser;
use lab_e2e::{Api, Must, Options, Pace, Report, Server, Tab, percentile};
use serde_json::json;
use std::time::{Duration, Instant};

const SH: u16 = 0;
const CAT: u16 = 1;

fn millis(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// From the POST that starts the session to the first prompt drawn, each time in a new container.
pub async fn click(report: &mut Report) -> Result<()> {
    let server = Server::start(Options::docker()).await?;
    let mut samples = Vec::new();
    for run in 0..20 {
        let name = format!("learner{run}");
        server.grant(&name, 3600)?;
        let api = Api::launch(&server.url, &server.link(&name, "ospf-triangle")?).await?;
        let start = Instant::now();
        let session = api.start("ospf-triangle").await?;
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        tab.attach_ready(SH).await?;
        tab.shows(SH, "r1#", 30).await?;
        samples.push(millis(start.elapsed()));
        api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
        lab_e2e::eventually("the container is gone", Duration::from_secs(30), || async {
            Ok(server.sandboxes()?.is_empty().then_some(()))
        })
        .await?;
    }
    report.add(
        "click_to_prompt_cold_p95_ms",
        percentile(&samples, 95.0),
        "ms",
        Must::AtMost(2500.0),
        &samples,
    )?;
    server.finish().await
}

async fn keys(tab: &Tab, count: usize) -> Result<Vec<f64>> {
    let mut samples = Vec::with_capacity(count);
    for n in 0..count {
        let target = tab.offset(CAT) + 1;
        let start = Instant::now();
        tab.input(CAT, vec![b'a' + (n % 26) as u8]).await?;
        tab.offset_reaches(CAT, target, 20).await?;
        samples.push(millis(start.elapsed()));
    }
    Ok(samples)
}

/// A quarter of a megabyte through the terminal.
async fn burst(tab: &Tab) -> Result<()> {
    for _ in 0..8 {
        let target = tab.offset(CAT) + 32 * 1024;
        tab.input(CAT, vec![b'.'; 32 * 1024]).await?;
        tab.offset_reaches(CAT, target, 20).await?;
    }
    Ok(())
}

/// Key to screen bytes at the WebSocket, recorded, one viewer; and the same beside a stalled viewer, in turns so that the machine's noise hits both.
pub async fn echo(report: &mut Report) -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (api, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(CAT).await?;
    let teacher = server.teacher("prof").await?;
    let viewer = Tab::open(&teacher, &session, Pace::Fast).await?;
    viewer.ready(20).await?;
    viewer.attach(CAT, false).await?;
    keys(&tab, 500).await?;
    let samples = keys(&tab, 5000).await?;
    report.add(
        "echo_p99_ms",
        percentile(&samples, 99.0),
        "ms",
        Must::AtMost(5.0),
        &samples,
    )?;

    // pairs of short runs: the machine's noise is slower than a pair, so it falls on both; the median pair is the effect
    let mut changes = Vec::new();
    for _ in 0..25 {
        burst(&tab).await?;
        let alone = percentile(&keys(&tab, 400).await?, 99.0);
        let stalled = Tab::open(&teacher, &session, Pace::Stalled).await?;
        stalled
            .send(FromBrowser::Attach {
                terminal: CAT,
                from: None,
                seat: false,
                cols: 80,
                rows: 24,
            })
            .await?;
        // more than a window: from here on it is behind, as a viewer is whose laptop was closed
        burst(&tab).await?;
        let beside = percentile(&keys(&tab, 400).await?, 99.0);
        changes.push((beside - alone) / alone * 100.0);
    }
    let median = percentile(&changes, 50.0);
    report.add(
        "stalled_viewer_echo_p99_change_pct",
        median,
        "%",
        Must::AtMost(5.0),
        &changes,
    )?;
    server.finish().await
}

/// A file of text lines is printed; MB/s until its last byte is at the client. Best of three each, in turns.
pub async fn bulk(report: &mut Report) -> Result<()> {
    const MB: u64 = 256;
    let file = tempfile::NamedTempFile::new()?;
    let line = "the quick brown fox jumps over the lazy dog 0123456789 and goes on to column 80\n";
    std::fs::write(file.path(), line.repeat((MB as usize * 1_000_000) / line.len()))?;
    // a terminal writes CR LF where the file has LF
    let size = std::fs::metadata(file.path())?.len();
    let bytes = size + size / line.len() as u64;
    let command = format!("cat {}", file.path().display());

    let server = Server::start(Options::process()).await?;
    let (api, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let peer = Terminado::start().await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let target = tab.offset(SH) + bytes;
        let start = Instant::now();
        tab.input(SH, format!("{command}\r").into_bytes()).await?;
        tab.offset_reaches(SH, target, 300).await?;
        ours.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
        ensure!(tab.view(SH).snapshots <= 1, "the learner was resynchronised");
        theirs.push(peer.bulk(&command, bytes).await?);
    }
    let (best, peer_best) = (percentile(&ours, 100.0), percentile(&theirs, 100.0));
    println!("  terminado {peer_best:.1} MB/s");
    report.add("bulk_output_mb_s", best, "MB/s", Must::AtLeast(30.0), &ours)?;
    report.add(
        "bulk_output_vs_peer_ratio",
        best / peer_best,
        "x",
        Must::AtLeast(1.0),
        &theirs,
    )?;
    server.finish().await
}

/// `yes` floods a client that reads 0.5 MB/s; Ctrl-C, then the time until the prompt is at the client.
pub async fn ctrl_c(report: &mut Report) -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (api, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&api, &session, Pace::BytesPerSecond(500_000)).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "PS1='p''rompt> '\r").await?;
    tab.shows(SH, "prompt>", 10).await?;
    let mut samples = Vec::new();
    for _ in 0..100 {
        let target = tab.offset(SH) + 300_000;
        tab.input(SH, b"yes\r".as_slice()).await?;
        tab.offset_reaches(SH, target, 60).await?;
        tab.forget(SH);
        let start = Instant::now();
        tab.input(SH, b"\x03".as_slice()).await?;
        tab.shows(SH, "prompt>", 60).await?;
        samples.push(millis(start.elapsed()));
    }
    report.add(
        "ctrl_c_under_flood_p99_ms",
        percentile(&samples, 99.0),
        "ms",
        Must::AtMost(150.0),
        &samples,
    )?;
    server.finish().await
}

/// 500 sessions, each with its learner attached and idle: growth of serve's resident memory per session.
pub async fn idle(report: &mut Report) -> Result<()> {
    const SESSIONS: usize = 500;
    let mut options = Options::process();
    options.config = "limits:\n  sandboxes_max: 600\n".into();
    let server = Server::start(options).await?;
    let pid = server.pid()?;
    // the first session pays for what is made once
    let (first, session) = server.learner("first", "shell").await?;
    let tab = Tab::open(&first, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let before = rss_kib(pid)?;
    let mut tabs = Vec::new();
    let mut samples = Vec::new();
    for n in 0..SESSIONS {
        let (api, session) = server.learner(&format!("idle{n}"), "shell").await?;
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        tab.attach_ready(SH).await?;
        tabs.push(tab);
        samples.push((rss_kib(pid)? - before) / (n + 1) as f64);
    }
    let per_session = samples.last().copied().context("sessions ran")?;
    report.add(
        "serve_rss_per_idle_session_kb",
        per_session,
        "KB",
        Must::AtMost(100.0),
        &samples,
    )?;
    drop(tabs);
    server.finish().await
}

fn rss_kib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}

/// A teacher opens a terminal that has written 100 MB: attach to snapshot, and its size.
pub async fn late_join(report: &mut Report) -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (api, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let target = tab.offset(SH) + 100_000_000;
    tab.input(
        SH,
        b"yes 'one hundred megabytes of history, one line of which is as good as another' | head -c 100000000\r"
            .as_slice(),
    )
    .await?;
    tab.offset_reaches(SH, target, 120).await?;
    let teacher = server.teacher("prof").await?;
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let late = Tab::open(&teacher, &session, Pace::Fast).await?;
        late.ready(20).await?;
        let start = Instant::now();
        late.attach(SH, false).await?;
        times.push(millis(start.elapsed()));
        sizes.push(late.view(SH).snapshot.len() as f64 / 1024.0);
    }
    report.add(
        "late_join_ms",
        percentile(&times, 95.0),
        "ms",
        Must::AtMost(100.0),
        &times,
    )?;
    report.add(
        "late_join_kb",
        percentile(&sizes, 100.0),
        "KB",
        Must::AtMost(64.0),
        &sizes,
    )?;
    server.finish().await
}
