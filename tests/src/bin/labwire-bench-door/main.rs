//! The door and the ledger under load, from outside on the real binary and a real Postgres; the ledger's rules on a million histories.
//!
//! Prints a table and writes `target/bench/door.json` (raw samples beside it). Each measure has what it must hold; the exit status is 1
//! when one does not.

mod histories;
mod launches;
mod minutes;
mod place;
mod statement;
mod vouchers;

use anyhow::Result;
use lab_e2e::{Measures, Report};

const HELP: &str = "\
labwire-bench-door [MEASURE…]

Measures (all when none is named):
  lti        from a signed LTI form to a signed-in tab, 300 launches one after another
  vouchers   1,700 redemptions and 500 launches at once: errors, and grants that should not be
  minutes    two launches of a learner on the last minutes, 1,000 times: exactly one wins
  statement  the statement of 2,500 learners as PDF
  histories  a million random histories of the ledger, with repeats and crashes

Example: labwire-bench-door vouchers
";

#[tokio::main]
async fn main() -> Result<()> {
    let Some(asked) = Measures::asked(HELP)? else {
        return Ok(());
    };
    let mut report = Report::new("door");
    if asked.want("lti") {
        launches::lti(&mut report).await?;
    }
    if asked.want("vouchers") {
        vouchers::storm(&mut report).await?;
    }
    if asked.want("minutes") {
        minutes::last(&mut report).await?;
    }
    if asked.want("statement") {
        statement::of_2500(&mut report).await?;
    }
    if asked.want("histories") {
        histories::million(&mut report)?;
    }
    if report.finish()? {
        return Ok(());
    }
    std::process::exit(1)
}
