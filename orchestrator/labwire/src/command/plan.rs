//! `labwire plan ls|set`.

use crate::{config::Config, table, wire};
use anyhow::Result;
use clap::{Args, Subcommand};
use lab_core::{
    PlanId,
    entitlement::{Bilingual, Feature, MINIMUM_TO_START_SECS, Plan},
    hours,
    port::Store,
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum PlanCommand {
    /// List plans
    #[command(after_help = "Example:\n  labwire plan ls")]
    Ls,
    /// Add a plan, or change one whole; plans that the configuration file names are put back at each start
    #[command(
        after_help = "Example:\n  labwire plan set SPONSORED --name-en Sponsored --name-fr Parrainée --hours 20 --concurrency 2"
    )]
    Set(SetArgs),
}

#[derive(Args, Debug)]
pub struct SetArgs {
    /// The plan's id
    id: String,
    #[arg(long)]
    name_en: String,
    #[arg(long)]
    name_fr: String,
    /// No labs: learners see what a lab is
    #[arg(long)]
    no_labs: bool,
    /// Sessions at once
    #[arg(long, default_value_t = 1)]
    concurrency: u32,
    /// Lab time of a grant in hours, like 20 or 1.5
    #[arg(long, default_value = "10", value_parser = hours::any)]
    hours: i64,
    #[arg(long, default_value_t = 180)]
    valid_days: u32,
    /// Longest run of a session, extensions included; what the lab says when not given
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i64).range(1..=100_000))]
    session_minutes: Option<i64>,
    /// Lab time a day, from midnight to midnight where the course is; all there is when not given
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i64).range(1..=1440))]
    daily_minutes: Option<i64>,
    /// What a start needs at least
    #[arg(long, value_name = "SECONDS", default_value_t = MINIMUM_TO_START_SECS)]
    minimum_seconds: i64,
    /// Beside lab time, by commas: observe, coached, recorded, exam
    #[arg(long, value_delimiter = ',', default_value = "observe,coached,recorded", value_parser = feature)]
    features: Vec<Feature>,
}

fn feature(code: &str) -> Result<Feature, String> {
    let known: Vec<&str> = Feature::ALL.iter().map(|f| f.code()).collect();
    Feature::from_code(code).ok_or_else(|| format!("use {}", known.join(", ")))
}

pub async fn run(config: &Config, command: PlanCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    match command {
        PlanCommand::Ls => {
            let row = |p: &Plan| {
                let labs = if p.labs { "yes" } else { "no" };
                let (many, days) = (p.concurrency_max.to_string(), p.valid_days.to_string());
                vec![
                    p.id.to_string(),
                    p.name.en.clone(),
                    labs.into(),
                    many,
                    table::time(p.seconds),
                    days,
                    p.session_secs_max.map_or_else(|| "the lab's".into(), table::time),
                    p.daily_secs_max.map_or_else(|| "all".into(), table::time),
                    p.features.iter().map(|f| f.code()).collect::<Vec<_>>().join(" "),
                ]
            };
            let rows: Vec<_> = store.plan_list().await?.iter().map(row).collect();
            table::print(
                &[
                    "PLAN", "NAME", "LABS", "AT ONCE", "TIME", "DAYS", "A RUN", "A DAY", "INCLUDES",
                ],
                &rows,
            );
        }
        PlanCommand::Set(args) => {
            let name = Bilingual {
                en: args.name_en,
                fr: args.name_fr,
            };
            let known = store.plan_list().await?.into_iter().find(|p| p.id.as_str() == args.id);
            let plan = Plan {
                labs: !args.no_labs,
                concurrency_max: args.concurrency,
                seconds: args.hours,
                valid_days: args.valid_days,
                session_secs_max: args.session_minutes.map(|m| m * 60),
                daily_secs_max: args.daily_minutes.map(|m| m * 60),
                minimum_secs: args.minimum_seconds,
                features: args.features.into_iter().collect(),
                // texts in two languages are the configuration's
                offer: known.and_then(|p| p.offer),
                ..Plan::new(PlanId(args.id), name)
            };
            plan.check()?;
            store.plan_put(&plan).await?;
            println!("{} is set", plan.id);
        }
    }
    Ok(ExitCode::SUCCESS)
}
