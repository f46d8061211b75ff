//! `labwire lti add|invite|approve|reject|ls|test|grades|keys`: learning platforms.

mod add;
mod explain;
mod grades;
mod invite;
mod paste;

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_app::launch::lti::{OurKeys, Setup};
use lab_core::{
    PlanId,
    entitlement::GiverState,
    launch::lti::{Kind, RegistrationId},
    port::{Clock, GiverStore, LtiStore},
};
use std::{process::ExitCode, sync::Arc};

#[derive(Subcommand, Debug)]
pub enum LtiCommand {
    /// Register a platform, or change a registration, and print what to paste into the course
    Add(Box<add::AddArgs>),
    Invite(invite::InviteArgs),
    /// Say yes to a platform that registered itself
    #[command(
        after_help = "Examples:\n  labwire lti ls               # who waits, and from where\n  labwire lti approve moodle"
    )]
    Approve(invite::NameArgs),
    /// Say no to a platform that registered itself, or take an invitation back
    #[command(after_help = "Examples:\n  labwire lti reject moodle")]
    Reject(invite::NameArgs),
    /// List registrations and invitations; with a name, print again what to paste
    #[command(
        after_help = "Examples:\n  labwire lti ls\n  labwire lti ls fun\n  labwire lti ls fun --lab ospf-triangle"
    )]
    Ls(LsArgs),
    /// Explain the last launch that was refused, step by step
    #[command(
        after_help = "Examples:\n  labwire lti test          # the last one of anybody\n  labwire lti test fun      # the last one of a registration"
    )]
    Test(TestArgs),
    Grades(grades::GradesArgs),
    /// Our own key pairs, which platforms verify our requests with
    #[command(
        after_help = "Examples:\n  labwire lti keys            # where they are published, and which signs\n  \
                           labwire lti keys --rotate   # a new one signs from now on; the old one is published for a week more"
    )]
    Keys(KeysArgs),
}

#[derive(Args, Debug)]
pub struct LsArgs {
    /// Of one registration, what to paste into the course
    name: Option<String>,
    /// … for this lab
    #[arg(long, value_name = "ID", requires = "name")]
    lab: Option<String>,
}

#[derive(Args, Debug)]
pub struct TestArgs {
    /// A registration's name
    name: Option<String>,
}

#[derive(Args, Debug)]
pub struct KeysArgs {
    /// Make a new one that signs from now on
    #[arg(long)]
    rotate: bool,
}

pub async fn run(config: &Config, command: LtiCommand) -> Result<ExitCode> {
    match command {
        LtiCommand::Add(args) => add::run(config, *args).await,
        LtiCommand::Invite(args) => invite::run(config, args).await,
        LtiCommand::Approve(args) => invite::approve(config, args).await,
        LtiCommand::Reject(args) => invite::reject(config, args).await,
        LtiCommand::Ls(args) => ls(config, args).await,
        LtiCommand::Test(args) => test(config, args).await,
        LtiCommand::Grades(args) => grades::run(config, args).await,
        LtiCommand::Keys(args) => keys(config, &args).await,
    }
}

/// What the page of platforms does too.
async fn setup(config: &Config) -> Result<Setup> {
    Ok(Setup {
        store: wire::store(config).await?,
        clock: Arc::new(wire::clock()),
        entropy: Arc::new(wire::entropy()),
        public_url: config.public_url.clone(),
        configured: config.plans.clone(),
    })
}

async fn ls(config: &Config, args: LsArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    if let Some(name) = args.name {
        let found = store.lti_registration_get(&RegistrationId(name.clone())).await?;
        let Some(registration) = found else {
            bail!("no registration is named {name}; `labwire lti ls` lists them");
        };
        let lab = paste::lab(store.as_ref(), args.lab.as_deref()).await?;
        print!("{}", paste::text(config, &registration, &lab, None));
        return Ok(ExitCode::SUCCESS);
    }
    let registrations = store.lti_registration_list().await?;
    let mut givers = Vec::with_capacity(registrations.len());
    for r in &registrations {
        givers.push(store.giver_get(&r.source()).await?);
    }
    let rows: Vec<Vec<String>> = registrations
        .iter()
        .zip(&givers)
        .map(|(r, giver)| {
            let (version, platform, client) = match &r.kind {
                Kind::Platform { issuer, client_id, .. } => ("1.3", issuer.clone(), client_id.clone()),
                Kind::Consumer { key, .. } => ("1.1", "-".to_owned(), key.clone()),
            };
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            vec![
                r.id.to_string(),
                version.to_owned(),
                platform,
                client,
                or_dash(r.course.as_ref().map(ToString::to_string)),
                or_dash(r.plan.as_ref().map(ToString::to_string)),
                or_dash(giver.as_ref().map(agreed).filter(|text| !text.is_empty())),
            ]
        })
        .collect();
    table::print(
        &[
            "NAME",
            "LTI",
            "PLATFORM",
            "CLIENT ID OR KEY",
            "COURSE",
            "PLAN",
            "MAY GIVE",
        ],
        &rows,
    );
    print!(
        "{}",
        invite::list(&store.lti_invitation_list().await?, wire::clock().now())
    );
    Ok(ExitCode::SUCCESS)
}

/// `QUALIFYING; 12/30 grants; 20:00:00/75:00:00`: what launches may ask for, and what they gave of how much.
fn agreed(state: &GiverState) -> String {
    let (budget, given) = (state.giver.budget, state.given);
    let plans: Vec<&str> = state.giver.plans.iter().map(PlanId::as_str).collect();
    let mut said = Vec::new();
    said.extend((!plans.is_empty()).then(|| plans.join(", ")));
    said.extend(budget.grants.map(|max| format!("{}/{max} grants", given.grants)));
    let hours = |max| format!("{}/{}", table::time(given.seconds), table::time(max));
    said.extend(budget.seconds.map(hours));
    said.join("; ")
}

async fn test(config: &Config, args: TestArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let wanted = args.name.map(RegistrationId);
    if let Some(id) = &wanted
        && store.lti_registration_get(id).await?.is_none()
    {
        bail!("no registration is named {id}; `labwire lti ls` lists them");
    }
    let attempts = store.lti_attempt_list().await?;
    let last = attempts.iter().find(|a| wanted.is_none() || a.registration == wanted);
    match last {
        Some(attempt) => print!("{}", explain::text(attempt)),
        None => println!("no launch was refused; open the lab from the course, then ask again"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn keys(config: &Config, args: &KeysArgs) -> Result<ExitCode> {
    let keys = OurKeys {
        store: wire::store(config).await?,
        clock: Arc::new(wire::clock()),
        entropy: Arc::new(wire::entropy()),
    };
    let mut list = keys.list().await?;
    if args.rotate {
        let newest = list.first().map(|k| k.kid.clone());
        if !keys.rotate(newest.as_deref()).await? {
            bail!("somebody else made a new key at the same moment; look at `labwire lti keys`");
        }
        list = keys.list().await?;
    }
    println!("published at {}/lti/jwks\n", config.public_url);
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|k| {
            let use_ = match (k.current, k.retire_at) {
                (true, _) => "signs".to_owned(),
                (false, Some(end)) => format!("published until {end}"),
                (false, None) => "published".to_owned(),
            };
            vec![k.kid.clone(), k.created_at.to_string(), use_]
        })
        .collect();
    table::print(&["KEY", "MADE", "USE"], &rows);
    Ok(ExitCode::SUCCESS)
}
