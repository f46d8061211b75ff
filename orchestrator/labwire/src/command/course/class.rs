//! `labwire course class add|ls|rm`.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_core::{
    CourseId, LabId, Timestamp,
    courses::CourseClass,
    port::{Clock, CourseStore, Store},
    provisioning::POOL_LEAD,
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum ClassCommand {
    /// Schedule a class: as many labs as learners are ready ten minutes before it begins, and places are theirs until it ends
    #[command(
        after_help = "Example:\n  labwire course class add net --lab ospf-triangle --room 'B-204' --from 2027-03-02T14:00:00+01:00 \
                          --until 2027-03-02T17:00:00+01:00 --learners 13\n\n\
                          The same course, lab and beginning again changes the class."
    )]
    Add(AddArgs),
    /// List classes that are not over
    #[command(after_help = "Examples:\n  labwire course class ls\n  labwire course class ls net")]
    Ls {
        #[arg(value_name = "COURSE")]
        course: Option<String>,
    },
    /// Take a class off: what was made ready for it goes
    #[command(
        after_help = "Example:\n  labwire course class rm net --lab ospf-triangle --from 2027-03-02T14:00:00+01:00"
    )]
    Rm {
        #[arg(value_name = "COURSE")]
        course: String,
        #[arg(long, value_name = "ID")]
        lab: String,
        /// When it begins
        #[arg(long, value_name = "TIME", value_parser = super::moment)]
        from: Timestamp,
    },
}

#[derive(Args, Debug)]
pub struct AddArgs {
    #[arg(value_name = "COURSE")]
    course: String,
    #[arg(long, value_name = "ID")]
    lab: String,
    #[arg(long)]
    room: String,
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    from: Timestamp,
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    until: Timestamp,
    /// How many are expected
    #[arg(long, value_name = "N")]
    learners: u32,
}

pub async fn run(config: &Config, command: ClassCommand) -> Result<ExitCode> {
    let (store, now) = (wire::store(config).await?, wire::clock().now());
    match command {
        ClassCommand::Add(args) => add(config, store.as_ref(), args, now).await?,
        ClassCommand::Ls { course } => {
            let classes = store.class_list(course.map(CourseId).as_ref(), now).await?;
            print(&classes);
        }
        ClassCommand::Rm { course, lab, from } => {
            let (course, lab) = (CourseId(course), LabId(lab));
            if !store.class_remove(&course, &lab, from).await? {
                bail!("no class of {lab} in {course} begins at {from}; `labwire course class ls` lists them");
            }
            println!("{course}: the class of {lab} at {from} is taken off");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(config: &Config, store: &dyn Store, args: AddArgs, now: Timestamp) -> Result<()> {
    let class = CourseClass {
        course: CourseId(args.course),
        lab: LabId(args.lab),
        starts_at: args.from,
        ends_at: args.until,
        room: args.room,
        learners: args.learners,
    };
    if let Some(problem) = class.problem() {
        bail!("--{problem}");
    }
    if class.ends_at <= now {
        bail!(
            "--until {}: the class is over already; write a time to come",
            class.ends_at
        );
    }
    if store.lab_latest(&class.lab).await?.is_none() {
        bail!(
            "--lab {} is not published; `labwire lab ls` lists what is, `labwire lab publish FILE` adds one",
            class.lab
        );
    }
    store.class_put(&class).await?;
    println!(
        "{}: {} in {}, from {} until {}; {} labs are ready from {}",
        class.course,
        class.lab,
        class.room,
        class.starts_at,
        class.ends_at,
        class.learners,
        class.starts_at.minus(POOL_LEAD)
    );
    let most = config.limits.sandboxes_max;
    if class.learners as usize > most {
        println!("Only {most} labs run at once here (`limits.sandboxes_max`): the others wait in the queue.");
    }
    Ok(())
}

pub fn print(classes: &[CourseClass]) {
    let row = |c: &CourseClass| {
        vec![
            c.course.to_string(),
            c.lab.to_string(),
            c.room.clone(),
            c.starts_at.to_string(),
            c.ends_at.to_string(),
            c.learners.to_string(),
        ]
    };
    let rows: Vec<_> = classes.iter().map(row).collect();
    table::print(&["COURSE", "LAB", "ROOM", "FROM", "UNTIL", "LEARNERS"], &rows);
}
