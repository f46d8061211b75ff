//! `labwire person ls|show|export|erase|link|unlink|links`: one person's data, for who answers requests about them; and that two ids are one person.

mod same;

use crate::{command::out, config::Config, table, wire};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use lab_app::privacy::{By, People};
use lab_core::{Subject, privacy::Footprint};
use prometheus::Registry;
use std::{
    fs::File,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Subcommand, Debug)]
pub enum PersonCommand {
    /// List people, last seen first
    #[command(after_help = "Examples:\n  labwire person ls\n  labwire person ls lovelace")]
    Ls {
        /// In the id or the name, whatever its case
        #[arg(default_value = "")]
        text: String,
    },
    /// Say what is here of a person
    #[command(after_help = "Example:\n  labwire person show ada")]
    Show {
        subject: String,
    },
    /// Write all of a person as one ZIP: profile, labs, checks, lab time, who looked, recordings
    #[command(after_help = "Example:\n  labwire person export ada -o ada.zip\n\n\
                            The person sees among those who looked that their data were exported.")]
    Export(ExportArgs),
    /// Forget a person: recordings and names go, the ledger stays under a random name
    #[command(
        after_help = "Examples:\n  labwire person erase ada --dry-run\n  labwire person erase ada --yes\n\n\
                            It cannot be undone, and is refused while a lab of theirs runs. Backups are not reached: erase again after \
                            one is restored."
    )]
    Erase(EraseArgs),
    Link(same::LinkArgs),
    /// Two ids are two people again, from the next launch on
    #[command(after_help = "Example:\n  labwire person unlink 'lti:imt-net101#1c1b4a7f'")]
    Unlink {
        /// The id that was linked
        alias: String,
    },
    /// List which ids are one person
    #[command(after_help = "Example:\n  labwire person links")]
    Links,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Who, as the platform names them
    subject: String,
    /// A new file, readable by you only
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Args, Debug)]
pub struct EraseArgs {
    /// Who, as the platform names them
    subject: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Say what would go, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

pub async fn run(config: &Config, command: PersonCommand) -> Result<ExitCode> {
    let people = people(config).await?;
    match command {
        PersonCommand::Link(args) => same::link(config, &people, args).await,
        PersonCommand::Unlink { alias } => same::unlink(config, alias).await,
        PersonCommand::Links => same::list(config).await,
        PersonCommand::Ls { text } => ls(&people, &text).await,
        PersonCommand::Show { subject } => show(&people, &subject.into()).await,
        PersonCommand::Export(args) => export(&people, &args).await,
        PersonCommand::Erase(args) => erase(&people, args).await,
    }
}

async fn people(config: &Config) -> Result<People> {
    Ok(People::new(wire::ports(
        wire::store(config).await?,
        wire::blobs(config)?,
        wire::runtime(config, &Registry::new()).await?,
        wire::platform(config)?,
        wire::mail(config)?,
    )))
}

/// The audit log has no other name for who types here.
fn by() -> By {
    By {
        subject: "cli".into(),
        name: "labwire person".into(),
    }
}

async fn ls(people: &People, text: &str) -> Result<ExitCode> {
    let row = |p: &lab_core::privacy::PersonSummary| {
        vec![
            p.subject.to_string(),
            p.name.clone(),
            p.sessions.to_string(),
            p.live.to_string(),
            p.grants.to_string(),
            p.last_at.to_string(),
        ]
    };
    let rows: Vec<_> = people.list(text).await?.iter().map(row).collect();
    table::print(&["PERSON", "NAME", "LABS", "RUNNING", "GRANTS", "LAST SEEN"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn print(footprint: &Footprint) {
    let rows: Vec<_> = [
        ("labs", footprint.sessions),
        ("recordings that can be read", footprint.recordings),
        ("outcomes of checks", footprint.checks),
        ("grants of lab time", footprint.grants),
        ("tabs signed in", footprint.logins),
        ("vouchers redeemed", footprint.vouchers),
        ("notices acknowledged", footprint.notices),
        ("courses that list them, people they coach", footprint.enrolments),
        ("courses they have longer", footprint.extensions),
        ("ids that are one with theirs", footprint.aliases),
        ("courses that gave less than was asked", footprint.withheld),
        ("lines of the audit log by or about them", footprint.audit),
    ]
    .iter()
    .map(|(what, count)| vec![(*what).to_owned(), count.to_string()])
    .collect();
    table::print(&["KEPT", "COUNT"], &rows);
}

async fn show(people: &People, subject: &Subject) -> Result<ExitCode> {
    let person = people.show(subject).await.with_context(|| unknown(subject))?;
    print(&person.footprint);
    println!();
    let row = |s: &lab_core::port::Session| {
        vec![
            s.id.to_string(),
            s.name.clone(),
            s.course.to_string(),
            s.lab.to_string(),
            s.state.name().to_owned(),
            s.requested_at.to_string(),
        ]
    };
    let rows: Vec<_> = person.sessions.iter().map(row).collect();
    table::print(&["LAB RUN", "NAME", "COURSE", "LAB", "STATE", "REQUESTED"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn unknown(subject: &Subject) -> String {
    format!("{subject}: `labwire person ls` lists people")
}

async fn export(people: &People, args: &ExportArgs) -> Result<ExitCode> {
    let (subject, path) = (Subject::from(args.subject.as_str()), args.output.as_path());
    let mut file = out::create("--output", path)?;
    match write(people, &subject, &mut file).await {
        Ok(bytes) => {
            println!("{}: {bytes} bytes; index.html in it explains the rest", path.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // half an archive looks like one
            let _ = std::fs::remove_file(path);
            Err(error.context(format!("{} was not written", path.display())))
        }
    }
}

async fn write(people: &People, subject: &Subject, file: &mut File) -> Result<usize> {
    let mut pieces = people.export(subject, &by()).await.with_context(|| unknown(subject))?;
    let mut bytes = 0;
    while let Some(piece) = pieces.try_next().await? {
        file.write_all(&piece)?;
        bytes += piece.len();
    }
    file.sync_all()?;
    Ok(bytes)
}

async fn erase(people: &People, args: EraseArgs) -> Result<ExitCode> {
    let subject = Subject::from(args.subject);
    if args.dry_run {
        let person = people.show(&subject).await.with_context(|| unknown(&subject))?;
        print(&person.footprint);
        println!("\nNothing was changed. The ledger would stay, under a random name.");
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        confirm(&subject)?;
    }
    let done = people.erase(&subject, &by()).await?;
    if done.footprint.is_empty() {
        println!(
            "nothing is here of this person; {} objects of recordings were deleted",
            done.objects
        );
        return Ok(ExitCode::SUCCESS);
    }
    print(&done.footprint);
    println!(
        "\nAll of this is gone, and {} objects of recordings. The ledger knows them as {}.",
        done.objects, done.pseudonym
    );
    Ok(ExitCode::SUCCESS)
}

/// Asks for the id once more: an arrow key and Return are too easy.
fn confirm(subject: &Subject) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to ask; say --yes to erase {subject}, or --dry-run to see what would go");
    }
    eprint!("This cannot be undone. Type the person's id once more to erase them: ");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    if line.trim_end_matches(['\r', '\n']) != subject.as_str() {
        bail!("that is another id; nothing was erased");
    }
    Ok(())
}
