//! `labwire course indicators|progression|funnel|series`: how runs went, in counts. Nobody is named.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_app::courses::{
    FunnelStep, RunCounts, SeriesCounts, funnel_csv, indicators_csv, progression_csv, rule_problem, run_counts,
    series_counts,
};
use lab_core::{
    CourseId, LabId, Timestamp,
    courses::{CourseSeries, CourseTable, IndicatorRule, Indicators, SERIES_COURSES_MAX, percent, progression, weeks},
    port::{Clock, CourseStore, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

#[derive(Args, Debug)]
pub struct IndicatorArgs {
    /// Several stand in one table, each by the rule that is kept for it
    #[arg(value_name = "COURSE", required = true, num_args = 1..)]
    courses: Vec<String>,
    /// Labs of the first week, with commas between: who did all of them, and that of the second week, is diligent
    #[arg(long, value_name = "LABS", value_delimiter = ',', requires = "second_week")]
    first_week: Vec<String>,
    /// The first graded lab of the second week
    #[arg(long, value_name = "LAB", requires = "first_week")]
    second_week: Option<String>,
    /// Labs of the course's grade, with commas between; those of both weeks, and all that anybody has a result of, when not given
    #[arg(long, value_name = "LABS", value_delimiter = ',', requires = "second_week")]
    labs: Vec<String>,
    /// With so many per cent of the course's grade a learner has succeeded
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pass: u8,
    /// Keep these labs and this per cent as the course's rule: for the page of its teachers and managers, and for tables over courses
    #[arg(long, requires = "second_week")]
    keep: bool,
    /// As CSV, rows that others can stand below
    #[arg(long)]
    csv: bool,
}

impl IndicatorArgs {
    /// What the command line says of what counts, if it does.
    fn rule(&self) -> Option<IndicatorRule> {
        let set = |labs: &[String]| labs.iter().cloned().map(LabId).collect::<BTreeSet<_>>();
        let second_week = self.second_week.clone()?;
        Some(IndicatorRule {
            first_week: set(&self.first_week),
            second_week: LabId(second_week),
            labs: set(&self.labs),
            pass_percent: self.pass,
        })
    }
}

#[derive(Args, Debug)]
pub struct ProgressionArgs {
    #[arg(value_name = "COURSE")]
    course: String,
    /// Dates with their hour and offset, with commas between; the ends of the run's weeks when not given
    #[arg(long, value_name = "DATES", value_delimiter = ',', value_parser = super::moment)]
    dates: Vec<Timestamp>,
    #[arg(long)]
    csv: bool,
}

#[derive(Args, Debug)]
pub struct FunnelArgs {
    /// In their order
    #[arg(value_name = "COURSE", required_unless_present = "series", num_args = 2..)]
    courses: Vec<String>,
    /// Those of a series, instead of naming them
    #[arg(long, value_name = "NAME", conflicts_with = "courses")]
    series: Option<String>,
    #[arg(long)]
    csv: bool,
}

#[derive(Subcommand, Debug)]
pub enum SeriesCommand {
    /// Put courses together, in their order: their teachers and managers see each other's counts
    #[command(after_help = "Example:\n  labwire course series set networks net-basics net-lan net-qos")]
    Set {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "COURSE", required = true, num_args = 2..)]
        courses: Vec<String>,
    },
    /// List series
    #[command(after_help = "Example:\n  labwire course series ls")]
    Ls,
    /// Their courses side by side, with the mean of their shares and all of them together
    #[command(after_help = "Example:\n  labwire course series show networks --csv > networks.csv")]
    Show {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(long)]
        csv: bool,
    },
    /// Take a series apart; its courses stay
    #[command(after_help = "Example:\n  labwire course series remove networks")]
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub async fn indicators(config: &Config, args: IndicatorArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let rule = args.rule();
    if rule.is_some() && args.courses.len() > 1 {
        bail!("--first-week and --second-week are one course's; keep each course's with --keep, then name several");
    }
    if let Some(rule) = &rule
        && let Some(problem) = rule_problem(store.as_ref(), rule).await?
    {
        bail!("{problem}");
    }
    let mut courses = Vec::new();
    for course in &args.courses {
        let run = run_counts(store.as_ref(), &course.as_str().into(), rule.clone()).await?;
        if run.rule.is_none() {
            bail!(
                "nobody has said what counts in {course}: `labwire course indicators {course} --first-week LABS --second-week LAB --keep`"
            );
        }
        courses.push((run.course, run.indicators));
    }
    if let Some(rule) = rule.filter(|_| args.keep) {
        // as it was said: which labs have results is another answer tomorrow
        store.rule_put(&courses[0].0, &rule).await?;
    }
    let all = CourseTable { courses };
    if args.csv {
        print!("{}", indicators_csv(&all));
    } else if let [(_, one)] = all.courses.as_slice() {
        table::print(&["LEARNERS", "COUNT", "SHARE", "OF"], &rows(one));
    } else {
        beside(&all);
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(count: &Indicators) -> Vec<Vec<String>> {
    let [started, diligent, success, kept, diligent_success] = count.shares();
    let row = |what: &str, share: (u64, u64), of: &str| {
        vec![what.into(), share.0.to_string(), said(percent(share)), of.into()]
    };
    vec![
        vec![
            "enrolled".into(),
            count.enrolled.to_string(),
            String::new(),
            String::new(),
        ],
        row("started", started, "enrolled"),
        row("diligent", diligent, "enrolled"),
        row("success", success, "enrolled"),
        row("diligent", kept, "started"),
        row("diligent success", diligent_success, "diligent"),
    ]
}

/// A row a course; of the number of enrolled there is no mean.
fn beside(all: &CourseTable) {
    let row = |name: &str, enrolled: String, shares: [Option<f64>; 5]| {
        [name.to_owned(), enrolled]
            .into_iter()
            .chain(shares.map(said))
            .collect()
    };
    let shares = |run: &Indicators| run.shares().map(percent);
    let mut rows: Vec<Vec<String>> = all
        .courses
        .iter()
        .map(|(course, run)| row(course.as_str(), run.enrolled.to_string(), shares(run)))
        .collect();
    let sum = all.sum();
    rows.push(row("mean of courses", String::new(), all.means()));
    rows.push(row("all together", sum.enrolled.to_string(), shares(&sum)));
    table::print(
        &[
            "COURSE",
            "ENROLLED",
            "STARTED",
            "DILIGENT",
            "SUCCESS",
            "DILIGENT OF STARTED",
            "DILIGENT SUCCESS",
        ],
        &rows,
    );
}

fn said(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |p| format!("{p:.1} %"))
}

pub async fn over_time(config: &Config, args: ProgressionArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let course = CourseId(args.course);
    let mut dates = args.dates;
    if dates.is_empty() {
        let opens_at = store.run_get(&course).await?.and_then(|r| r.opens_at);
        dates = weeks(opens_at, wire::clock().now());
    }
    dates.sort_unstable();
    let labs = progression(&store.course_completions(&course).await?, &dates);
    if args.csv {
        print!("{}", progression_csv(&course, &labs, &dates));
        return Ok(ExitCode::SUCCESS);
    }
    let mut header = vec!["LAB".to_owned(), "DONE".to_owned()];
    header.extend(dates.iter().map(|date| format!("BEFORE {date}")));
    header.push(if dates.is_empty() { "WHENEVER" } else { "LATER" }.into());
    let row = |lab: &lab_core::courses::LabProgression| {
        let within = lab.within.iter().map(u64::to_string);
        [lab.lab.to_string(), lab.total.to_string()]
            .into_iter()
            .chain(within)
            .collect()
    };
    let rows: Vec<Vec<String>> = labs.iter().map(row).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table::print(&header, &rows);
    Ok(ExitCode::SUCCESS)
}

pub async fn going_on(config: &Config, args: FunnelArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let series = match args.series {
        Some(name) => find(store.as_ref(), &name).await?,
        None => CourseSeries {
            name: String::new(),
            courses: args.courses.into_iter().map(CourseId).collect(),
        },
    };
    let counts = count(store.as_ref(), series).await?;
    if args.csv {
        print!("{}", funnel_csv(&counts.funnel));
        return Ok(ExitCode::SUCCESS);
    }
    let first = counts.funnel.first().map_or(0, |s| s.left);
    let row = |step: &FunnelStep| {
        vec![
            step.course.to_string(),
            step.started.to_string(),
            step.left.to_string(),
            said(percent((step.left, first))),
        ]
    };
    let rows: Vec<_> = counts.funnel.iter().map(row).collect();
    table::print(&["COURSE", "STARTED", "AND ALL BEFORE", "OF THE FIRST"], &rows);
    Ok(ExitCode::SUCCESS)
}

async fn count(store: &dyn Store, series: CourseSeries) -> Result<SeriesCounts> {
    if series.courses.len() > SERIES_COURSES_MAX {
        bail!(
            "{} courses; at most {SERIES_COURSES_MAX} are put together",
            series.courses.len()
        );
    }
    let mut known: BTreeMap<CourseId, RunCounts> = BTreeMap::new();
    Ok(series_counts(store, series, &mut known).await?)
}

async fn find(store: &dyn Store, name: &str) -> Result<CourseSeries> {
    let found = store.series_list().await?.into_iter().find(|s| s.name == name);
    found.ok_or_else(|| anyhow::anyhow!("there is no series {name}; `labwire course series ls` lists them"))
}

pub async fn series(config: &Config, command: SeriesCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    match command {
        SeriesCommand::Set { name, courses } => {
            let courses: Vec<CourseId> = courses.into_iter().map(CourseId).collect();
            if courses.len() > SERIES_COURSES_MAX {
                bail!("{} courses; a series has at most {SERIES_COURSES_MAX}", courses.len());
            }
            if courses.iter().collect::<BTreeSet<_>>().len() < courses.len() {
                bail!("a course is named twice; each has one place in a series");
            }
            for course in &courses {
                super::super::known::course(store.as_ref(), course.as_str(), false).await?;
            }
            store.series_put(&CourseSeries { name, courses }).await?;
        }
        SeriesCommand::Ls => {
            let row = |s: &CourseSeries| {
                let courses: Vec<&str> = s.courses.iter().map(CourseId::as_str).collect();
                vec![s.name.clone(), courses.join(" → ")]
            };
            let rows: Vec<_> = store.series_list().await?.iter().map(row).collect();
            table::print(&["SERIES", "COURSES"], &rows);
        }
        SeriesCommand::Show { name, csv } => {
            let counts = count(store.as_ref(), find(store.as_ref(), &name).await?).await?;
            if csv {
                print!("{}", indicators_csv(&counts.table));
            } else {
                beside(&counts.table);
            }
            for course in &counts.without_rule {
                eprintln!("{course} is left out: `labwire course indicators {course} … --keep` says what counts in it");
            }
        }
        SeriesCommand::Remove { name } => {
            let mut gone = find(store.as_ref(), &name).await?;
            gone.courses.clear();
            store.series_put(&gone).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_names_what_it_is_of() {
        let count = Indicators {
            enrolled: 1000,
            started: 144,
            diligent: 93,
            success: 65,
            diligent_success: 63,
        };
        let rows: Vec<String> = rows(&count).iter().map(|r| r.join(" ")).collect();
        assert_eq!(rows[1], "started 144 14.4 % enrolled");
        assert_eq!(rows[5], "diligent success 63 67.7 % diligent");
        assert_eq!(said(percent((0, 0))), "-");
    }
}
