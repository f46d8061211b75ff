//! `labwire order key add|ls|revoke`.

use super::{grant::seed_plans, out};
use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_app::entitlement::make_order_key;
use lab_core::{
    CourseId, OrderKeyId, PlanId, SponsorId,
    entitlement::{GrantBudget, OrderKey, OrderKeyState, shop_problem},
    hours,
    port::{Clock, OrderStore, Store},
};
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

#[derive(Subcommand, Debug)]
pub enum OrderCommand {
    /// Keys with which shops and enrolment offices order
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    Add(AddArgs),
    /// List keys by shop, with what was ordered
    #[command(after_help = "Example:\n  labwire order key ls")]
    Ls,
    /// From now on a key opens nothing; what was ordered stays
    #[command(after_help = "Example:\n  labwire order key revoke 0190…")]
    Revoke {
        key: OrderKeyId,
    },
}

/// Make a key for a shop, and show it once. It orders the courses and plans that are named here, and nothing else. A second key for the
/// same name replaces one without a gap: both are of one shop until the first is revoked.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire order key add shop --course net --plan QUALIFYING\n  \
                        labwire order key add esp-dakar --course net --plan QUALIFYING --sponsor esp --orders-max 75 --hours-max 1500 --out esp-dakar.key\n\n\
                        The key's hash is made with the first key of the settings: that must stay in `keys` as long as this one is used."
)]
pub struct AddArgs {
    /// The shop's name: a-z, 0-9 and '-'. Its order numbers are its own
    name: String,
    /// A course that may be ordered; repeat for several
    #[arg(long, value_name = "ID", required = true)]
    course: Vec<String>,
    /// A plan that may be ordered; repeat for several
    #[arg(long, value_name = "ID", required = true)]
    plan: Vec<String>,
    /// Who pays for what is ordered: it is in their statement, and counts for their budget
    #[arg(long, value_name = "ID")]
    sponsor: Option<String>,
    /// Where its people are: on the statement of that site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Most orders of this shop in all, those that were cancelled not counted
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    orders_max: Option<i64>,
    /// Most lab time of this shop's orders in all, like 1500 or 1500.5
    #[arg(long, value_name = "HOURS", value_parser = hours::many)]
    hours_max: Option<i64>,
    /// A new file for the key, readable by you only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub async fn run(config: Config, command: OrderCommand) -> Result<ExitCode> {
    let OrderCommand::Key(command) = command;
    match command {
        KeyCommand::Add(args) => add(config, args).await,
        KeyCommand::Ls => ls(&config).await,
        KeyCommand::Revoke { key } => {
            wire::store(&config)
                .await?
                .order_key_revoke(key, wire::clock().now())
                .await?;
            println!("{key}: opens nothing any more; what was ordered with it stays");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn add(config: Config, args: AddArgs) -> Result<ExitCode> {
    if let Some(problem) = shop_problem(&args.name) {
        bail!("{problem}");
    }
    let config = config.with_keys(&wire::entropy())?;
    let (store, keyring) = (wire::store(&config).await?, wire::keyring(&config)?);
    seed_plans(&config, store.as_ref()).await?;
    let plans = store.plan_list().await?;
    for plan in &args.plan {
        if !plans.iter().any(|p| p.id.as_str() == plan) {
            bail!("--plan {plan} does not exist; `labwire plan ls` lists plans");
        }
    }
    // first: a key that cannot be written down is lost
    let mut out = out::open(args.out.as_deref())?;
    let (id, token, hash) = make_order_key(&wire::entropy(), &keyring);
    let key = OrderKey {
        id,
        shop: args.name,
        hash,
        key: keyring.first_id().to_owned(),
        courses: args.course.into_iter().map(CourseId).collect(),
        plans: args.plan.into_iter().map(PlanId).collect(),
        sponsor: args.sponsor.map(SponsorId),
        site: args.site.map(Into::into),
        budget: GrantBudget {
            grants: args.orders_max,
            seconds: args.hours_max,
        },
        created_at: wire::clock().now(),
        revoked_at: None,
    };
    store.order_key_add(&key).await?;
    // alone on standard output, for a file or a secret store
    writeln!(out, "{token}").and_then(|()| out.flush())?;
    eprintln!(
        "{id}: a key for {}, of {} under {}. It is shown this once.\n\
         Order with it: curl -H 'authorization: Bearer lwo_…' -H 'content-type: application/json' {}/api/v1/orders \\\n  \
         -d '{{\"order\":\"S-1\",\"person\":\"ada@example.org\",\"course\":\"{}\",\"plan\":\"{}\"}}'",
        key.shop,
        joined(&key.courses),
        joined(&key.plans),
        config.public_url,
        key.courses.first().map_or("", CourseId::as_str),
        key.plans.first().map_or("", PlanId::as_str),
    );
    Ok(ExitCode::SUCCESS)
}

fn joined<T: ToString>(all: &BTreeSet<T>) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn ls(config: &Config) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let row = |k: &OrderKeyState| {
        let of = |max: Option<String>| max.map_or_else(String::new, |max| format!("/{max}"));
        let state = match k.key.revoked_at {
            Some(at) => format!("revoked {at}"),
            None if !config.keys.is_empty() && !config.keys.iter().any(|c| c.id == k.key.key) => {
                format!("worthless: key {:?} is not in the settings any more", k.key.key)
            }
            None => "good".into(),
        };
        vec![
            k.key.shop.clone(),
            k.key.id.to_string(),
            joined(&k.key.courses),
            joined(&k.key.plans),
            k.key.sponsor.as_ref().map_or_else(|| "-".into(), ToString::to_string),
            format!("{}{}", k.given.grants, of(k.key.budget.grants.map(|n| n.to_string()))),
            format!(
                "{}{}",
                table::time(k.given.seconds),
                of(k.key.budget.seconds.map(table::time))
            ),
            state,
        ]
    };
    let rows: Vec<_> = store.order_key_list().await?.iter().map(row).collect();
    table::print(
        &["SHOP", "KEY", "COURSES", "PLANS", "SPONSOR", "ORDERS", "TIME", "STATE"],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}
