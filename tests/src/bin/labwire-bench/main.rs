//! Labwire's speed and memory, measured from outside on the real binary, with peers in the same run.
//!
//! Prints a table and writes `target/bench/one-machine.json` (raw samples beside it). Each measure has what it must hold; the exit
//! status is 1 when one does not, so that a slower Labwire is seen.

mod measures;
mod peer;

use anyhow::Result;
use lab_e2e::{Measures, Report};

const HELP: &str = "\
labwire-bench [MEASURE…]

Measures (all when none is named):
  click      click to usable prompt, cold container, ospf-triangle, 20 runs
  echo       key to screen bytes at the WebSocket, 5,000 keys, and beside a stalled viewer
  bulk       256 MB at the WebSocket client, recorded, against terminado
  ctrlc      Ctrl-C to prompt under `yes`, client reading 0.5 MB/s
  idle       resident memory of serve per attached idle session, 500 sessions
  late       late join after 100 MB of history

Example: labwire-bench echo bulk
";

#[tokio::main]
async fn main() -> Result<()> {
    let Some(asked) = Measures::asked(HELP)? else {
        return Ok(());
    };
    let mut report = Report::new("one-machine");
    if asked.want("click") {
        measures::click(&mut report).await?;
    }
    if asked.want("echo") {
        measures::echo(&mut report).await?;
    }
    if asked.want("bulk") {
        measures::bulk(&mut report).await?;
    }
    if asked.want("ctrlc") {
        measures::ctrl_c(&mut report).await?;
    }
    if asked.want("idle") {
        measures::idle(&mut report).await?;
    }
    if asked.want("late") {
        measures::late_join(&mut report).await?;
    }
    if report.finish()? {
        return Ok(());
    }
    std::process::exit(1)
}
