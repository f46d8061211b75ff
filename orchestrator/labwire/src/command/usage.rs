//! `labwire usage`.

use super::known;
use crate::{config::Config, table, wire};
use anyhow::Result;
use clap::{Args, ValueEnum};
use lab_core::{
    CourseId, LabId, Subject, Timestamp,
    csv::cell,
    metering::{UsageRow, euros},
    port::Store,
};
use std::process::ExitCode;

/// Lab time of sessions that are settled. Billed and unbilled make the sandbox time, always.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire usage --course net --costs\n  labwire usage --learner ada --format csv > ada.csv"
)]
pub struct UsageArgs {
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    #[arg(long, value_name = "ID")]
    learner: Option<String>,
    #[arg(long, value_name = "ID")]
    lab: Option<String>,
    /// What the sandboxes cost, and what stood ready for nobody (overhead)
    #[arg(long)]
    costs: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

pub async fn run(config: &Config, args: UsageArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let (course, learner, lab) = (
        args.course.map(CourseId),
        args.learner.map(Subject),
        args.lab.map(LabId),
    );
    let rows = store
        .usage_list(course.as_ref(), learner.as_ref(), lab.as_ref())
        .await?;
    if rows.is_empty() {
        known::asked_of(store.as_ref(), course.as_ref(), learner.as_ref(), lab.as_ref()).await?;
    }
    match args.format {
        Format::Table => {
            print_table(&rows, args.costs);
            if args.costs {
                overhead(store.as_ref()).await?;
            }
        }
        Format::Csv => print_csv(&rows),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows)?),
    }
    let adds_up = rows
        .iter()
        .all(|r| r.billed_seconds + r.unbilled_seconds == r.sandbox_seconds);
    if !adds_up {
        eprintln!("labwire: billed and unbilled seconds do not make the sandbox time; please report this");
    }
    Ok(if adds_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of the whole installation: what is nobody's is in no course.
async fn overhead(store: &dyn Store) -> Result<()> {
    let all = store.overhead(Timestamp(i64::MIN), Timestamp(i64::MAX)).await?;
    let (seconds, micro_eur): (Vec<i64>, Vec<i64>) = all.iter().map(|c| (c.seconds, c.micro_eur)).unzip();
    println!(
        "\nOverhead (kept warm for nobody, billed to no one): {} sandboxes, {}, {} EUR",
        all.len(),
        table::time(seconds.iter().sum()),
        euros(micro_eur.iter().sum())
    );
    Ok(())
}

fn print_table(rows: &[UsageRow], costs: bool) {
    let cells = |r: &UsageRow| {
        let mut cells = vec![
            r.requested_at.to_string(),
            r.subject.to_string(),
            r.course.to_string(),
            r.lab.to_string(),
            table::time(r.sandbox_seconds),
            table::time(r.billed_seconds),
            table::time(r.unbilled_seconds),
            table::time(r.refunded_seconds),
            r.unbilled_reason.clone().unwrap_or_default(),
        ];
        if costs {
            cells.push(r.cost_micro_eur.map_or_else(|| "-".into(), euros));
        }
        cells
    };
    let mut lines: Vec<_> = rows.iter().map(cells).collect();
    let sum = |f: fn(&UsageRow) -> i64| table::time(rows.iter().map(f).sum());
    let blank = String::new;
    let mut total = vec![
        "total".into(),
        blank(),
        blank(),
        blank(),
        sum(|r| r.sandbox_seconds),
        sum(|r| r.billed_seconds),
        sum(|r| r.unbilled_seconds),
        sum(|r| r.refunded_seconds),
        blank(),
    ];
    let mut heads = vec![
        "REQUESTED",
        "LEARNER",
        "COURSE",
        "LAB",
        "SANDBOX",
        "BILLED",
        "UNBILLED",
        "REFUNDED",
        "WHY",
    ];
    if costs {
        total.push(euros(rows.iter().filter_map(|r| r.cost_micro_eur).sum()));
        heads.push("EUR");
    }
    lines.push(total);
    table::print(&heads, &lines);
}

fn print_csv(rows: &[UsageRow]) {
    println!(
        "session,requested_at,subject,course,lab,sandbox_seconds,billed_seconds,unbilled_seconds,unbilled_reason,refunded_seconds,cost_micro_eur\r"
    );
    for r in rows {
        println!(
            "{},{},{},{},{},{},{},{},{},{},{}\r",
            r.session,
            r.requested_at,
            cell(r.subject.as_str()),
            cell(r.course.as_str()),
            cell(r.lab.as_str()),
            r.sandbox_seconds,
            r.billed_seconds,
            r.unbilled_seconds,
            cell(r.unbilled_reason.as_deref().unwrap_or_default()),
            r.refunded_seconds,
            r.cost_micro_eur.map_or_else(String::new, |c| c.to_string())
        );
    }
}
