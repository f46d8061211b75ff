//! That two ids are one person.

use super::by;
use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_app::privacy::People;
use lab_core::{
    Subject,
    launch::lti::SamePerson,
    port::{Clock, LtiStore},
};
use std::process::ExitCode;

/// Say that two ids are one person: who launches as the first is the second from the next launch on, with the second's labs and lab time.
/// A platform names people anew in each course by LTI 1.1, and otherwise again by LTI 1.3; nothing is ever linked by a guess.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire person link 'lti:imt-net101#1c1b4a7f' --as 'lms.example.org#a5b1f3e2'\n  labwire person links\n\n\
                  What the first id has already stays under it. `labwire person ls` lists ids."
)]
pub struct LinkArgs {
    /// The id that launches come with
    alias: String,
    /// Who it is
    #[arg(long = "as", value_name = "PERSON")]
    subject: String,
    /// Also when the id has labs or lab time of its own
    #[arg(long)]
    anyway: bool,
}

pub(super) async fn link(config: &Config, people: &People, args: LinkArgs) -> Result<ExitCode> {
    let (alias, subject) = (Subject(args.alias), Subject(args.subject));
    if let Ok(own) = people.show(&alias).await
        && !args.anyway
    {
        let kept = own.footprint;
        bail!(
            "{alias} has {} labs and {} grants of its own, which stay under it and are not {subject}'s; \
             give {subject} the time that is left by `labwire grant`, then say --anyway",
            kept.sessions,
            kept.grants
        );
    }
    let same = SamePerson {
        alias,
        subject,
        at: wire::clock().now(),
        by: by().subject,
    };
    wire::store(config).await?.same_person_put(&same).await?;
    println!("{} is {} from the next launch on", same.alias, same.subject);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unlink(config: &Config, alias: String) -> Result<ExitCode> {
    let alias = Subject(alias);
    if !wire::store(config).await?.same_person_drop(&alias).await? {
        bail!("{alias} is nobody else; `labwire person links` lists ids that are");
    }
    println!("{alias} is itself from the next launch on");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(config: &Config) -> Result<ExitCode> {
    let row = |s: &SamePerson| {
        vec![
            s.alias.to_string(),
            s.subject.to_string(),
            s.at.to_string(),
            s.by.to_string(),
        ]
    };
    let all = wire::store(config).await?.same_person_list().await?;
    table::print(
        &["ID", "IS", "SINCE", "SAID BY"],
        &all.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(ExitCode::SUCCESS)
}
