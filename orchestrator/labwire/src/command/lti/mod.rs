//! `labwire lti guide|add|invite|approve|reject|ls|test|remove|grades|keys`: learning platforms.

mod add;
mod explain;
mod grades;
mod invite;
mod ls;
mod paste;
mod remove;

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_app::launch::lti::{OurKeys, Setup};
use std::{process::ExitCode, sync::Arc};

#[derive(Subcommand, Debug)]
pub enum LtiCommand {
    Guide(paste::GuideArgs),
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
    /// List registrations and invitations; with a name, tell what its platform gave, and print again what to paste
    #[command(
        after_help = "Examples:\n  labwire lti ls\n  labwire lti ls fun\n  labwire lti ls fun --lab ospf-triangle"
    )]
    Ls(ls::LsArgs),
    Test(explain::TestArgs),
    Remove(remove::RemoveArgs),
    Grades(grades::GradesArgs),
    /// Our own key pairs, which platforms verify our requests with
    #[command(
        after_help = "Examples:\n  labwire lti keys            # where they are published, and which signs\n  \
                           labwire lti keys --rotate   # a new one signs from now on; the old one is published for a week more"
    )]
    Keys(KeysArgs),
}

#[derive(Args, Debug)]
pub struct KeysArgs {
    /// Make a new one that signs from now on
    #[arg(long)]
    rotate: bool,
}

pub async fn run(config: &Config, command: LtiCommand) -> Result<ExitCode> {
    match command {
        LtiCommand::Guide(args) => paste::guide_run(config, args).await,
        LtiCommand::Add(args) => add::run(config, *args).await,
        LtiCommand::Invite(args) => invite::run(config, args).await,
        LtiCommand::Approve(args) => invite::approve(config, args).await,
        LtiCommand::Reject(args) => invite::reject(config, args).await,
        LtiCommand::Ls(args) => ls::run(config, args).await,
        LtiCommand::Test(args) => explain::run(config, args).await,
        LtiCommand::Remove(args) => remove::run(config, args).await,
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
