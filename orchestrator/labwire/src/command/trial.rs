//! `labwire trial add|report`.

use super::{
    statement::moment,
    voucher::{Format, Making, make},
};
use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    SponsorId, Timestamp, VoucherBatchId,
    csv::cell,
    entitlement::{TermsState, VoucherBatchState, VoucherTerms, source},
    hours,
    metering::StatementOf,
    port::{Clock, Store},
};
use std::{collections::HashMap, path::PathBuf, process::ExitCode};

#[derive(Subcommand, Debug)]
pub enum TrialCommand {
    Add(AddArgs),
    Report(ReportArgs),
}

/// Give a company some seats and lab time until a day: a code a seat, and time out of one pot. A person takes one seat, whichever codes
/// they type; the pot is never exceeded, however many redeem at once. A second time while a trial of that company and course runs adds seats
/// to it, with a pot of their own: who has a seat there gets none of these.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire trial add acme --course net --plan QUALIFYING --seats 10 --hours 30 --until 2027-02-01 --out acme.csv\n  \
                        labwire trial add acme --course net --plan QUALIFYING --seats 10 --hours 30 --each 6 --until 2027-02-01 --format html --out acme.html\n\n\
                        The company is the sponsor of what is given: `labwire statement --sponsor acme` has it."
)]
pub struct AddArgs {
    /// The company; also the sponsor's id
    company: String,
    #[arg(long, value_name = "ID")]
    course: String,
    #[arg(long, value_name = "ID")]
    plan: String,
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seats: u32,
    /// Lab time of all seats together, like 30 or 7.5
    #[arg(long, value_parser = hours::many)]
    hours: i64,
    /// Most lab time of one seat; an equal share when not given. With more than that, who comes first has it
    #[arg(long, value_name = "HOURS", value_parser = hours::some)]
    each: Option<i64>,
    /// When the trial ends: a day (from midnight, UTC), or a time with its offset
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Timestamp,
    /// The company's site: its statement has what is given, and its brand (`labwire site set SITE --brand …`) stands on the pages of who takes a seat
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// A new file, readable by you only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Seats used, hours given and used, and which labs were tried. Nobody is named.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  labwire trial report\n  labwire trial report acme --csv > acme-trial.csv")]
pub struct ReportArgs {
    /// Only this company's
    company: Option<String>,
    /// A row a trial and lab
    #[arg(long)]
    csv: bool,
}

pub async fn run(config: Config, command: TrialCommand) -> Result<ExitCode> {
    match command {
        TrialCommand::Add(args) => add(config, args).await,
        TrialCommand::Report(args) => report(&config, args).await,
    }
}

async fn add(config: Config, args: AddArgs) -> Result<ExitCode> {
    let now = wire::clock().now();
    if args.until <= now {
        bail!("--until {} is over; write a day to come", args.until);
    }
    let running = running(&config, &args.company, &args.course, now).await?;
    let pot = args.hours;
    let days = args.until.since(now).as_secs().div_ceil(86_400);
    let company = args.company;
    make(
        config,
        Making {
            course: args.course,
            plan: args.plan,
            count: args.seats,
            seconds: Some(args.each.map_or(pot / i64::from(args.seats), |each| each.min(pot))),
            // to the end of the trial, which its terms hold
            valid_days: Some(u32::try_from(days).unwrap_or(u32::MAX).min(36_500)),
            redeem_until: args.until,
            priority: 0,
            label: format!("{company}, trial"),
            sponsor: Some(SponsorId(company.clone())),
            terms: VoucherTerms {
                trial: Some(company.clone()),
                pot: Some(pot),
                until: Some(args.until),
                site: args.site.map(Into::into),
                ..VoucherTerms::default()
            },
            format: args.format,
            out: args.out,
        },
    )
    .await?;
    for (batch, taken, until) in running {
        eprintln!(
            "{company} has a trial of this course already (batch {batch}, {taken} seats taken, until {until}); these seats are added to it, and \
             whoever has one there is refused a second (voucher-seated)"
        );
    }
    eprintln!(
        "{} hours for all of them, until {}. How it goes: labwire trial report {company}",
        hours::shown(pot),
        args.until
    );
    Ok(ExitCode::SUCCESS)
}

/// Batches of the company's trial of a course that run: with the seats taken, and their end.
async fn running(
    config: &Config,
    company: &str,
    course: &str,
    now: Timestamp,
) -> Result<Vec<(VoucherBatchId, usize, Timestamp)>> {
    let store = wire::store(config).await?;
    let batches = store.voucher_list().await?;
    let mut trials = store.voucher_terms_list().await?;
    trials.retain(|t| {
        let here = batches
            .iter()
            .any(|b| b.batch.id == t.batch && b.batch.course.as_str() == course);
        here && t.terms.trial.as_deref() == Some(company)
    });
    let runs = trials
        .iter()
        .filter_map(|t| Some((t.batch, t.seats.len(), t.terms.until?)));
    Ok(runs.filter(|(_, _, until)| now < *until).collect())
}

async fn report(config: &Config, args: ReportArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let batches = store.voucher_list().await?;
    let mut trials = store.voucher_terms_list().await?;
    trials.retain(|t| t.terms.trial.is_some() && (args.company.is_none() || t.terms.trial == args.company));
    if trials.is_empty() {
        bail!("there is no such trial; `labwire trial add` makes one");
    }
    let of = |t: &TermsState| batches.iter().find(|b| b.batch.id == t.batch);
    let mut orders = HashMap::new();
    for t in &trials {
        if let Some(b) = of(t) {
            orders.insert(t.batch, ordered(store.as_ref(), b).await?);
        }
    }
    let came = |t: &TermsState| orders.get(&t.batch).copied().unwrap_or_default();
    if args.csv {
        print!("{}", csv(trials.iter().filter_map(|t| Some((t, of(t)?, came(t))))));
        return Ok(ExitCode::SUCCESS);
    }
    let row = |t: &TermsState| {
        let (given, drawn) = t.sums();
        vec![
            t.terms.trial.clone().unwrap_or_default(),
            t.batch.to_string(),
            format!("{}/{}", t.seats.len(), of(t).map_or(0, |b| b.size)),
            table::time(given),
            table::time(drawn),
            table::time(t.terms.pot.unwrap_or_default()),
            t.terms.until.map_or_else(String::new, |at| at.to_string()),
            tried(t),
            came(t).to_string(),
        ]
    };
    let rows: Vec<_> = trials.iter().map(row).collect();
    table::print(
        &[
            "COMPANY",
            "BATCH",
            "SEATS",
            "GIVEN",
            "USED",
            "OF",
            "UNTIL",
            "LABS TRIED",
            "ORDERED SINCE",
        ],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}

/// What a company ordered after it was given its trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ordered {
    orders: usize,
    seconds: i64,
}

impl std::fmt::Display for Ordered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.orders, table::time(self.seconds))
    }
}

/// Orders of which the trial's company is the sponsor, as its trial is; what was cancelled is none.
async fn ordered(store: &dyn Store, trial: &VoucherBatchState) -> Result<Ordered> {
    let Some(company) = trial.batch.sponsor.clone() else {
        return Ok(Ordered::default());
    };
    let facts = store
        .statement_facts(&StatementOf::Sponsor(company), wire::clock().now())
        .await?;
    let came = facts.grants.iter().filter(|g| {
        g.grant.source == source::ORDER && g.voided_at.is_none() && g.grant.created_at >= trial.batch.created_at
    });
    Ok(came.fold(Ordered::default(), |sum, g| Ordered {
        orders: sum.orders + 1,
        seconds: sum.seconds + g.grant.seconds,
    }))
}

/// `ospf-triangle (7)`: labs, with by how many seats.
fn tried(t: &TermsState) -> String {
    let labs = t.labs().into_iter().map(|(lab, seats)| format!("{lab} ({seats})"));
    labs.collect::<Vec<_>>().join(", ")
}

fn csv<'a>(trials: impl Iterator<Item = (&'a TermsState, &'a VoucherBatchState, Ordered)>) -> String {
    let mut out = String::from(
        "company,batch,course,plan,seats,seats_used,pot_seconds,given_seconds,used_seconds,until,\
         orders_since,ordered_seconds,lab,lab_seats\r\n",
    );
    for (t, b, came) in trials {
        let (given, drawn) = t.sums();
        let head = format!(
            "{},{},{},{},{},{},{},{given},{drawn},{},{},{}",
            cell(t.terms.trial.as_deref().unwrap_or_default()),
            t.batch,
            cell(b.batch.course.as_str()),
            cell(b.batch.plan.as_str()),
            b.size,
            t.seats.len(),
            t.terms.pot.unwrap_or_default(),
            t.terms.until.map_or_else(String::new, |at| at.to_string()),
            came.orders,
            came.seconds,
        );
        let labs = t.labs();
        if labs.is_empty() {
            out.push_str(&format!("{head},,0\r\n"));
        }
        for (lab, seats) in labs {
            out.push_str(&format!("{head},{},{seats}\r\n", cell(lab.as_str())));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::entitlement::{Seat, VoucherBatch};

    #[test]
    fn a_report_has_a_row_a_lab_and_names_nobody() {
        let at = Timestamp::from_secs(0);
        let batch = VoucherBatch {
            id: VoucherBatchId(uuid::Uuid::nil()),
            label: "acme, trial".into(),
            course: "net".into(),
            plan: "Q".into(),
            seconds: 10_800,
            valid_days: 30,
            priority: 0,
            created_at: at,
            expires_at: at,
            key: "k".into(),
            sponsor: Some("acme".into()),
        };
        let seat = |drawn, labs: &[&str]| Seat {
            redeemed_at: at,
            given: 10_800,
            drawn,
            labs: labs.iter().map(|l| (*l).into()).collect(),
        };
        let terms = TermsState {
            batch: batch.id,
            terms: VoucherTerms {
                trial: Some("=acme, inc".into()),
                pot: Some(108_000),
                ..VoucherTerms::default()
            },
            seats: vec![seat(100, &["ospf", "vlan"]), seat(50, &["ospf"]), seat(0, &[])],
        };
        let state = VoucherBatchState {
            batch,
            size: 10,
            redeemed: 3,
            revoked: None,
        };
        let text = csv(std::iter::once((
            &terms,
            &state,
            Ordered {
                orders: 2,
                seconds: 7200,
            },
        )));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("\"'=acme, inc\","), "{text}");
        assert!(
            lines[1].ends_with(",net,Q,10,3,108000,32400,150,,2,7200,ospf,2"),
            "{text}"
        );
        assert!(lines[2].ends_with(",vlan,1"), "{text}");
        assert_eq!(tried(&terms), "ospf (2), vlan (1)");
    }
}
