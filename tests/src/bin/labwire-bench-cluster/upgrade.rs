//! A rolling upgrade under a class that types.

use anyhow::Result;
use lab_e2e::{Must, Report, rolling_upgrade};

const LEARNERS: usize = 200;
const LAB: &str = include_str!("../../shell-lab.yaml");

/// Every byte is compared, in each tab, each recording and each agent.
pub async fn measure(report: &mut Report) -> Result<()> {
    let given = std::env::var("LABWIRE_BENCH_LEARNERS").ok();
    let learners = given.and_then(|n| n.parse().ok()).unwrap_or(LEARNERS);
    let upgrade = rolling_upgrade(learners, LAB).await?;
    let wrong: Vec<f64> = upgrade.wrong.iter().map(|w| w.bytes as f64).collect();
    report.add(
        "rolling_upgrade_lost_bytes",
        upgrade.wrong_bytes() as f64,
        "B",
        Must::AtMost(0.0),
        &wrong,
    )?;
    for found in &upgrade.wrong {
        println!("{found}");
    }
    let pauses: Vec<f64> = upgrade.pauses.iter().map(|p| p.as_secs_f64() * 1e3).collect();
    let p99 = upgrade.pause_p99().as_secs_f64() * 1e3;
    report.add("rolling_upgrade_pause_p99_ms", p99, "ms", Must::AtMost(2000.0), &pauses)?;
    println!(
        "{} learners typed {} lines; replicas went after {:?}",
        upgrade.learners, upgrade.lines, upgrade.ends
    );
    Ok(())
}
