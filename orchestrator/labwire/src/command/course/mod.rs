//! `labwire course`: when a course's labs can be started, and who is in it.

mod class;
mod indicators;
mod people;
mod run;

use crate::config::Config;
use anyhow::Result;
use clap::Subcommand;
use lab_core::Timestamp;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum CourseCommand {
    /// Give a course its dates, or change them; what is not given stays
    #[command(
        after_help = "Examples:\n  labwire course add net --title 'Réseaux, printemps 2027' --opens 2027-03-01T08:00:00+01:00 \
                          --closes 2027-06-30T23:59:59+02:00 --zone Europe/Paris --site 'FabLab de Brest'\n  \
                          labwire course add net --closes never\n\n\
                          A course that was never added is always open. Before it opens and after it closes no lab can be started; labs that run go on to \
                          their end, and replays stay."
    )]
    Add(run::AddArgs),
    /// List courses that have dates
    #[command(after_help = "Example:\n  labwire course ls")]
    Ls,
    /// Show a course: its dates, its classes, who has longer
    #[command(after_help = "Example:\n  labwire course show net")]
    Show {
        #[arg(value_name = "COURSE")]
        course: String,
    },
    /// Close a course: from now on, or from a time on, no lab can be started
    #[command(
        after_help = "Examples:\n  labwire course close net\n  labwire course close net --at 2027-06-30T18:00:00+02:00"
    )]
    Close {
        #[arg(value_name = "COURSE")]
        course: String,
        /// When; now when not given
        #[arg(long, value_name = "TIME", value_parser = moment)]
        at: Option<Timestamp>,
    },
    /// Let one learner start labs for longer than the others
    #[command(after_help = "Example:\n  labwire course extend net ada --until 2027-07-31T23:59:59+02:00")]
    Extend {
        #[arg(value_name = "COURSE")]
        course: String,
        /// The learner, as `labwire person ls` names them
        #[arg(value_name = "PERSON")]
        person: String,
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Timestamp,
    },
    /// Classes of a course: a room, a date, and labs that are ready when it begins
    #[command(subcommand)]
    Class(class::ClassCommand),
    /// List people in a course, from a spreadsheet: all of the file, or nothing when a row is wrong
    #[command(
        after_help = "Examples:\n  labwire course import net promo-2027.csv --dry-run\n  labwire course import net promo-2027.csv\n\n\
                          The first line names the columns, in any order: id (identifiant), name (nom), cohort (cohorte), site, site kind (type de \
                          site: fablab, company or school), coach (tuteur), external \
                          (courriel, matricule), plan (formule). Only `id` is needed. It is the person as `labwire person ls` shows them: what \
                          `labwire link --learner` says, or, from a platform, its address, # and its own id.\n\
                          Who is listed with a plan gets a grant of it, once. The same file again changes nothing; a column that is left out changes nothing either."
    )]
    Import(people::ImportArgs),
    /// Write a course's people as a list that `import` takes
    #[command(after_help = "Example:\n  labwire course export net --separator semicolon --out net.csv")]
    Export(people::ExportArgs),
    /// List who is in a course
    #[command(after_help = "Example:\n  labwire course people net")]
    People {
        #[arg(value_name = "COURSE")]
        course: String,
    },
    /// How a run went, in five numbers with their denominators: enrolled, started, diligent, success, diligent success
    #[command(
        after_help = "Examples:\n  labwire course indicators net --first-week static-routes --second-week ospf-triangle\n  \
                          labwire course indicators net --first-week static-routes --second-week ospf-triangle --pass 60 --keep\n  \
                          labwire course indicators net web sys --csv > courses.csv\n\n\
                          Enrolled is who is listed, was given lab time or ran a lab. Who had a check of a lab run, whatever came of it, has started and done that lab: \
                          a zero is a result. Nobody is named."
    )]
    Indicators(indicators::IndicatorArgs),
    /// When a course's learners were done with each lab, by dates
    #[command(after_help = "Examples:\n  labwire course progression net\n  \
                          labwire course progression net --dates 2027-02-15T00:00:00+01:00,2027-02-22T00:00:00+01:00 --csv\n\n\
                          Done is who passed every check of a version that they ran, in whichever runs, at the first pass of the last of them. Nobody is named.")]
    Progression(indicators::ProgressionArgs),
    /// How many of those who started a course started the next ones too
    #[command(
        after_help = "Examples:\n  labwire course funnel net-basics net-lan net-qos\n  labwire course funnel --series networks\n\n\
                      People are one over several courses where their ids are: by LTI 1.3, or after `labwire person link`."
    )]
    Funnel(indicators::FunnelArgs),
    /// Courses that are compared, and followed from one to the next
    #[command(subcommand)]
    Series(indicators::SeriesCommand),
    /// Take somebody off a course's list; their lab time stays
    #[command(after_help = "Example:\n  labwire course remove net ada")]
    Remove {
        #[arg(value_name = "COURSE")]
        course: String,
        #[arg(value_name = "PERSON")]
        person: String,
    },
}

pub async fn run(config: &Config, command: CourseCommand) -> Result<ExitCode> {
    match command {
        CourseCommand::Add(args) => run::add(config, args).await,
        CourseCommand::Ls => run::ls(config).await,
        CourseCommand::Show { course } => run::show(config, &course.into()).await,
        CourseCommand::Close { course, at } => run::close(config, course.into(), at).await,
        CourseCommand::Extend { course, person, until } => {
            run::extend(config, course.into(), person.into(), until).await
        }
        CourseCommand::Class(command) => class::run(config, command).await,
        CourseCommand::Import(args) => people::import(config, args).await,
        CourseCommand::Export(args) => people::export(config, args).await,
        CourseCommand::People { course } => people::people(config, &course.into()).await,
        CourseCommand::Indicators(args) => indicators::indicators(config, args).await,
        CourseCommand::Progression(args) => indicators::over_time(config, args).await,
        CourseCommand::Funnel(args) => indicators::going_on(config, args).await,
        CourseCommand::Series(command) => indicators::series(config, command).await,
        CourseCommand::Remove { course, person } => people::remove(config, &course.into(), &person.into()).await,
    }
}

/// A moment; a date alone would be another one in each time zone.
fn moment(text: &str) -> Result<Timestamp, String> {
    let remedy = "write it with its hour and offset, like 2027-06-30T23:59:59+02:00";
    text.parse().map_err(|_| remedy.to_owned())
}
