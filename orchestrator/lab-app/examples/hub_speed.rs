//! What a hub costs: megabytes a second from an agent in memory to one browser that draws at once (policy off and recorded),
//! and the time from a key to its echo. Run with `--release`.

#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/data_plane/rig.rs"]
mod rig;

use rig::{Rig, noise};
use std::time::Instant;

const MEGABYTES: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for policy in ["off", "best-effort"] {
        let rig = Rig::new(policy).await;
        let mut tab = rig.learner().await;
        tab.attach(0, Some(0), true).await;
        tab.until("the seat", |t| t.seat(0).is_some()).await;
        let part = noise(1 << 20);
        let start = Instant::now();
        for n in 1..=MEGABYTES as u64 {
            rig.agent().output(0, &part);
            tab.until("a megabyte", |t| t.end(0) >= n << 20).await;
            // the agent in memory keeps its whole journal, this program need not
            rig.agent().trim(rig.agent().durable());
            tab.got[0] = Some((tab.end(0), Vec::new()));
        }
        let secs = start.elapsed().as_secs_f64();
        println!(
            "policy {policy}: {:.0} MB/s through agent fake, hub and tab",
            MEGABYTES as f64 / secs
        );

        rig.agent().set_echo(true);
        let mut times: Vec<_> = Vec::new();
        for seq in 1..=2000 {
            let (start, want) = (Instant::now(), tab.end(0) + 1);
            tab.input(seq, b"x").await;
            tab.until("echo", |t| t.end(0) == want).await;
            times.push(start.elapsed().as_micros());
        }
        times.sort_unstable();
        println!(
            "policy {policy}: key to echo p50 {} us, p99 {} us",
            times[1000], times[1980]
        );
    }
}
