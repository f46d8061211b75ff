//! `labwire course add|ls|show|close|extend`.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    CourseId, Subject, Timestamp,
    courses::{CourseRun, Extension, Phase},
    entitlement::GrantBalance,
    port::{Clock, CourseStore, Store},
};
use std::process::ExitCode;

#[derive(Args, Debug)]
pub struct AddArgs {
    /// The course, as its links name it
    #[arg(value_name = "COURSE")]
    course: String,
    /// Shown to people; needed once
    #[arg(long)]
    title: Option<String>,
    /// From when on labs can be started, like 2027-03-01T08:00:00+01:00; `always`: since ever
    #[arg(long, value_name = "TIME", value_parser = opens)]
    opens: Option<Bound>,
    /// From when on they cannot; `never` takes the end away
    #[arg(long, value_name = "TIME", value_parser = closes)]
    closes: Option<Bound>,
    /// What pages write the two in, like Europe/Paris
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The place that holds it: a fab lab, a company, a school
    #[arg(long)]
    site: Option<String>,
}

/// A moment, or none.
#[derive(Clone, Copy, Debug)]
struct Bound(Option<Timestamp>);

fn opens(text: &str) -> Result<Bound, String> {
    bound(text, "always")
}

fn closes(text: &str) -> Result<Bound, String> {
    bound(text, "never")
}

fn bound(text: &str, none: &str) -> Result<Bound, String> {
    if text == none {
        return Ok(Bound(None));
    }
    super::moment(text)
        .map(|at| Bound(Some(at)))
        .map_err(|e| format!("{e}, or {none}"))
}

pub async fn add(config: &Config, args: AddArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let course = CourseId(args.course);
    let known = store.run_get(&course).await?;
    let new = known.is_none();
    let mut run = match known {
        Some(run) => run,
        None => CourseRun::new(
            course.clone(),
            title_of(store.as_ref(), &course).await?.unwrap_or_default(),
        ),
    };
    run.title = args.title.unwrap_or(run.title);
    run.opens_at = args.opens.map_or(run.opens_at, |b| b.0);
    run.closes_at = args.closes.map_or(run.closes_at, |b| b.0);
    run.zone = args.zone.or(run.zone);
    run.site = args.site.or(run.site);
    if let Some(problem) = run.problem() {
        bail!("--{problem}");
    }
    store.run_put(&run).await?;
    let now = wire::clock().now();
    println!("{}: {}, {}", run.course, run.title, dates(&run));
    println!(
        "It is {} now. `labwire course show {}` shows it.",
        run.phase(now).name(),
        run.course
    );
    if new {
        println!(
            "Next: people get in by links (`labwire link --course {}`) or from their platform (`labwire lti`).",
            run.course
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The title that a platform gave a course, or an earlier command.
async fn title_of(store: &dyn Store, course: &CourseId) -> Result<Option<String>> {
    let known = store.course_list().await?;
    Ok(known.into_iter().find(|c| c.id == *course).map(|c| c.title))
}

fn dates(run: &CourseRun) -> String {
    let opens = run
        .opens_at
        .map_or_else(|| "open since ever".into(), |at| format!("opens {at}"));
    let closes = run
        .closes_at
        .map_or_else(|| "never closes".into(), |at| format!("closes {at}"));
    let zone = run
        .zone
        .as_ref()
        .map_or_else(String::new, |z| format!(" (shown in {z})"));
    format!("{opens}, {closes}{zone}")
}

pub async fn ls(config: &Config) -> Result<ExitCode> {
    let (store, now) = (wire::store(config).await?, wire::clock().now());
    let when = |at: Option<Timestamp>, none: &str| at.map_or_else(|| none.to_owned(), |at| at.to_string());
    let row = |r: &CourseRun| {
        vec![
            r.course.to_string(),
            r.phase(now).name().to_owned(),
            when(r.opens_at, "always"),
            when(r.closes_at, "never"),
            r.site.clone().unwrap_or_default(),
            r.title.clone(),
        ]
    };
    let rows: Vec<_> = store.run_list().await?.iter().map(row).collect();
    table::print(&["COURSE", "NOW", "OPENS", "CLOSES", "SITE", "TITLE"], &rows);
    if rows.is_empty() {
        eprintln!(
            "No course has dates: all are open. `labwire course add COURSE --title TITLE --closes TIME` gives it some."
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn show(config: &Config, course: &CourseId) -> Result<ExitCode> {
    let (store, now) = (wire::store(config).await?, wire::clock().now());
    match store.run_get(course).await? {
        Some(run) => {
            println!("{}: {}", run.course, run.title);
            println!("now      {}, {}", run.phase(now).name(), dates(&run));
            if let Some(site) = &run.site {
                println!("site     {site}");
            }
        }
        None => println!("{course}: it has no dates, so it is always open"),
    }
    let people = store.enrolment_list(course).await?;
    println!("people   {}", people.len());
    let classes = store.class_list(Some(course), now).await?;
    if !classes.is_empty() {
        println!();
        super::class::print(&classes);
    }
    let row = |e: &Extension| vec![e.subject.to_string(), e.until.to_string(), e.given_at.to_string()];
    let rows: Vec<_> = store.extension_list(course).await?.iter().map(row).collect();
    if !rows.is_empty() {
        println!();
        table::print(&["LONGER FOR", "UNTIL", "GIVEN"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// The run of a course that must have one.
async fn needed(store: &dyn Store, course: &CourseId) -> Result<CourseRun> {
    let Some(run) = store.run_get(course).await? else {
        bail!("{course} has no dates; give it some with `labwire course add {course} --title TITLE --closes TIME`");
    };
    Ok(run)
}

pub async fn close(config: &Config, course: CourseId, at: Option<Timestamp>) -> Result<ExitCode> {
    let (store, now) = (wire::store(config).await?, wire::clock().now());
    let mut run = needed(store.as_ref(), &course).await?;
    run.closes_at = Some(at.unwrap_or(now));
    if let Some(problem) = run.problem() {
        bail!("{problem}, or change that first with `labwire course add {course} --opens TIME`");
    }
    store.run_put(&run).await?;
    println!("{course}: {}", dates(&run));
    if run.phase(now) == Phase::Closed {
        println!("No new lab can be started in it. Labs that run go on to their end; replays stay.");
        println!(
            "For one learner: `labwire course extend {course} PERSON --until TIME`; open again: `labwire course add {course} --closes never`."
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn extend(config: &Config, course: CourseId, subject: Subject, until: Timestamp) -> Result<ExitCode> {
    let (store, now) = (wire::store(config).await?, wire::clock().now());
    let run = needed(store.as_ref(), &course).await?;
    let Some(closes) = run.closes_at else {
        bail!("{course} never closes: nobody needs longer");
    };
    if until <= closes {
        bail!("--until {until}: the course closes on {closes} for everybody; give a later time");
    }
    let extension = Extension {
        course: course.clone(),
        subject: subject.clone(),
        until,
        given_at: now,
    };
    store.extension_put(&extension).await?;
    println!("{subject} can start labs in {course} until {until}; for all others it closes on {closes}");
    let grants = store.grant_list(&subject, Some(&course)).await?;
    let lasts = grants
        .iter()
        .filter(|g| g.available > 0)
        .map(GrantBalance::ends_at)
        .max();
    match lasts {
        Some(end) if end >= until => {}
        Some(end) => println!(
            "Their lab time ends before, on {end}; for more: `labwire grant --learner {subject} --course {course} --plan PLAN`"
        ),
        None => println!(
            "They have no lab time left; for some: `labwire grant --learner {subject} --course {course} --plan PLAN`"
        ),
    }
    Ok(ExitCode::SUCCESS)
}
