//! `labwire lti invite|approve|reject`: platforms that register themselves.

use super::paste;
use crate::{command::known, config::Config};
use anyhow::Result;
use clap::Args;
use lab_core::{
    Timestamp,
    launch::lti::{Invitation, Kind, RegistrationId, invitation_guide},
};
use std::{fmt::Write as _, process::ExitCode};

/// Invite a platform to register itself (Moodle 4 and later, and others with LTI dynamic registration), and print the address to paste there.
/// It is good for a week and for one platform, which then waits for `labwire lti approve`. The same name again makes another address.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire lti invite moodle --plan QUALIFYING\n  labwire lti invite esp-dakar --course net-101 --plan QUALIFYING"
)]
pub struct InviteArgs {
    /// The registration's name: a-z, 0-9 and '-'
    name: String,
    /// Every launch is of this course; otherwise of the platform's own
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    /// --course is meant although another one has nearly its name
    #[arg(long, requires = "course")]
    new_course: bool,
    /// Each learner who launches gets a grant of this plan, once a course
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
}

#[derive(Args, Debug)]
pub struct NameArgs {
    /// The registration's name
    name: String,
}

pub(super) async fn run(config: &Config, args: InviteArgs) -> Result<ExitCode> {
    let setup = super::setup(config).await?;
    if let Some(course) = &args.course {
        known::course(setup.store.as_ref(), course, args.new_course).await?;
    }
    let invited = setup
        .invite(
            RegistrationId(args.name),
            args.course.map(Into::into),
            args.plan.map(Into::into),
        )
        .await?;
    println!(
        "{} invited until {}; the address is shown once\n",
        invited.invitation.id, invited.invitation.expires_at
    );
    print!("{}", paste::guide(&invitation_guide(&invited.address)));
    print!("{}", paste::warning(&config.public_url));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn approve(config: &Config, args: NameArgs) -> Result<ExitCode> {
    let registration = super::setup(config).await?.approve(&RegistrationId(args.name)).await?;
    if let Kind::Platform { issuer, client_id, .. } = &registration.kind {
        println!("{} approved: {issuer}, client {client_id}", registration.id);
    }
    println!(
        "its launches are taken from now on; `labwire lti test {}` explains the last that was not",
        registration.id
    );
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn reject(config: &Config, args: NameArgs) -> Result<ExitCode> {
    let id = RegistrationId(args.name);
    super::setup(config).await?.reject(&id).await?;
    println!("{id} rejected; `labwire lti invite {id}` invites again");
    Ok(ExitCode::SUCCESS)
}

/// Who is invited, and who waits.
pub(super) fn list(all: &[Invitation], now: Timestamp) -> String {
    let mut text = String::new();
    for invitation in all {
        let id = &invitation.id;
        let _ = match &invitation.waiting {
            Some(waiting) => {
                let Kind::Platform { issuer, client_id, .. } = &waiting.kind else {
                    continue;
                };
                writeln!(
                    text,
                    "{id} waits since {}: {issuer} ({}), client {client_id}; `labwire lti approve {id}` or `labwire lti reject {id}`",
                    waiting.at, waiting.product
                )
            }
            None if invitation.expires_at <= now => writeln!(
                text,
                "{id} was invited until {}, and nobody came",
                invitation.expires_at
            ),
            None => writeln!(text, "{id} is invited until {}", invitation.expires_at),
        };
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}
