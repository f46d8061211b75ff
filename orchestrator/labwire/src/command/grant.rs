//! `labwire grant`.

use super::{known, learners::Learners};
use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    CourseId, GrantId, PlanId, SponsorId, Subject, Timestamp,
    entitlement::{Grant, source},
    hours,
    port::{Clock, Entropy, Store},
};
use std::{process::ExitCode, time::Duration};

/// Give a learner, or a class, lab time under a plan. Each call adds a grant.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire grant --learner ada --course net --plan QUALIFYING\n  \
                        labwire grant --learner ada --course net --plan QUALIFYING --hours 2 --valid-days 30\n  \
                        labwire grant --learners class.csv --course net --plan QUALIFYING"
)]
pub struct GrantArgs {
    #[command(flatten)]
    learners: Learners,
    #[arg(long, value_name = "ID")]
    course: String,
    /// --course is meant although another one has nearly its name
    #[arg(long)]
    new_course: bool,
    #[arg(long, value_name = "ID")]
    plan: String,
    /// Lab time; the plan's when neither this nor --hours is given
    #[arg(long, conflicts_with = "hours", value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    seconds: Option<i64>,
    /// Lab time in hours, like 2 or 1.5
    #[arg(long, value_parser = hours::any)]
    hours: Option<i64>,
    /// Days from its beginning; the plan's when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    valid_days: Option<u32>,
    /// From when on it can be used, like 2026-11-23T09:00:00+01:00; now when not given
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Lower is used first, then what ends soonest, then the oldest
    #[arg(long, default_value_t = 0)]
    priority: i32,
    /// Where it comes from; `goodwill` makes good for something, and is booked as such
    #[arg(long, default_value = source::MANUAL, value_parser = clap::builder::PossibleValuesParser::new(source::ALL))]
    source: String,
    /// Who pays for it: it is in their statement, and counts for their budget
    #[arg(long, value_name = "ID")]
    sponsor: Option<String>,
}

pub async fn run(config: &Config, args: GrantArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    seed_plans(config, store.as_ref()).await?;
    let plans = store.plan_list().await?;
    let Some(plan) = plans.iter().find(|p| p.id.as_str() == args.plan) else {
        let known: Vec<&str> = plans.iter().map(|p| p.id.as_str()).collect();
        bail!(
            "--plan {} does not exist; use one of {}, or add it with `labwire plan set`",
            args.plan,
            known.join(", ")
        );
    };
    known::course(store.as_ref(), &args.course, args.new_course).await?;
    let now = wire::clock().now();
    let days = args.valid_days.unwrap_or(plan.valid_days);
    let from = args.from.unwrap_or(now);
    for learner in args.learners.read()? {
        let grant = Grant {
            id: GrantId(uuid::Uuid::new_v5(
                &uuid::Uuid::NAMESPACE_OID,
                &wire::entropy().bytes32(),
            )),
            subject: Subject(learner.id),
            course: CourseId(args.course.clone()),
            plan: PlanId(args.plan.clone()),
            seconds: args.seconds.or(args.hours).unwrap_or(plan.seconds),
            priority: args.priority,
            effective_at: from,
            expires_at: from.plus(Duration::from_secs(u64::from(days) * 86_400)),
            created_at: now,
            source: args.source.clone(),
            sponsor: args.sponsor.clone().map(SponsorId),
        };
        issue(store.as_ref(), &grant).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn issue(store: &dyn Store, grant: &Grant) -> Result<()> {
    store.grant_issue(grant).await?;
    let grants = store.grant_list(&grant.subject, Some(&grant.course)).await?;
    let now = wire::clock().now();
    let available: i64 = grants.iter().filter(|g| g.is_valid(now)).map(|g| g.available).sum();
    println!(
        "{}: {} granted to {} in {} under {}, until {}; available now: {}",
        grant.id,
        table::time(grant.seconds),
        grant.subject,
        grant.course,
        grant.plan,
        grant.expires_at,
        table::time(available)
    );
    Ok(())
}

/// Plans of the settings, so that a grant before the first `serve` finds them; those changed by `plan set` stay.
pub(in crate::command) async fn seed_plans(config: &Config, store: &dyn Store) -> Result<()> {
    let known = store.plan_list().await?;
    for plan in config.plans.iter().filter(|p| !known.iter().any(|k| k.id == p.id)) {
        store.plan_put(plan).await?;
    }
    Ok(())
}
