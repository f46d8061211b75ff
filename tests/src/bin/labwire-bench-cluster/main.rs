//! Labwire's speed and scale on Kubernetes, measured from outside on the real API server.
//!
//! Prints a table and writes `target/bench/cluster.json` (raw samples beside it). `click` runs real pods by the chart;
//! `scale` runs thousands against a stand-in for their node (`node.rs`), with everything else real; `upgrade` has three replicas as
//! processes with labs as processes, on Postgres and S3: 200 pods do not fit on a node of two cores.

mod agents;
mod api;
mod clicks;
mod fleet;
mod node;
mod storm;
mod upgrade;

use anyhow::Result;
use lab_e2e::{Measures, Report};

const HELP: &str = "\
labwire-bench-cluster [MEASURE…]

Measures (all when none is named):
  click      click to usable prompt, cold pod and warm pool, ospf-triangle, 20 runs each; terminal bytes through the API server
  upgrade    three replicas replaced one after another under 200 learners who type: what was lost, and how long each waited
  scale      2,500 clicks in 60 s against 3 replicas, until all sandboxes are ready; controller's memory; API requests

LABWIRE_BENCH_SANDBOXES=N  fewer (or more) than 2,500
LABWIRE_BENCH_LEARNERS=N   fewer (or more) than 200
Example: labwire-bench-cluster scale
";

#[tokio::main]
async fn main() -> Result<()> {
    let Some(asked) = Measures::asked(HELP)? else {
        return Ok(());
    };
    let mut report = Report::new("cluster");
    if asked.want("click") {
        clicks::measure(&mut report).await?;
    }
    if asked.want("upgrade") {
        upgrade::measure(&mut report).await?;
    }
    if asked.want("scale") {
        storm::measure(&mut report).await?;
    }
    if report.finish()? {
        return Ok(());
    }
    std::process::exit(1)
}
