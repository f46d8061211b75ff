//! `labwire course import|export|people|remove`.

use crate::{
    command::{grant::seed_plans, out},
    config::Config,
    table, wire,
};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use lab_app::courses::{Known, LIST_BYTES_MAX, export_list, read_list};
use lab_core::{
    CourseId, Subject,
    courses::Enrolment,
    port::{Clock, CourseStore, EnrolRequest, Store},
};
use std::{
    collections::HashMap,
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Args, Debug)]
pub struct ImportArgs {
    #[arg(value_name = "COURSE")]
    course: String,
    /// A CSV file, UTF-8, separated by `;` or `,`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[arg(value_name = "COURSE")]
    course: String,
    /// What stands between fields; `semicolon` for a spreadsheet that is set to French
    #[arg(long, value_enum, default_value = "comma")]
    separator: Separator,
    /// A new file, readable by you only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Separator {
    Comma,
    Semicolon,
}

pub async fn import(config: &Config, args: ImportArgs) -> Result<ExitCode> {
    let bytes = read(&args.file)?;
    let store = wire::store(config).await?;
    seed_plans(config, store.as_ref()).await?;
    let (course, at) = (CourseId(args.course), wire::clock().now());
    let (plans, people) = (store.plan_list().await?, store.enrolment_list(&course).await?);
    let known = Known {
        course: &course,
        plans: &plans,
        people: &people,
        at,
    };
    let list = match read_list(&bytes, known) {
        Ok(list) => list,
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            bail!(
                "{}: {} to mend; nothing was changed",
                args.file.display(),
                problems.len()
            );
        }
    };
    if args.dry_run {
        return Ok(rehearse(&course, &people, &list.people));
    }
    let request = EnrolRequest {
        course: course.clone(),
        people: list.people,
        plans,
        sites: list.sites,
        at,
    };
    let done = store.enrol(&request).await?;
    println!(
        "{course}: {} added, {} changed, {} as they were; {} grants of lab time issued",
        done.added, done.changed, done.unchanged, done.grants
    );
    println!(
        "`labwire course people {course}` lists them; links for them: `labwire link --learners FILE --course {course} --lab LAB`"
    );
    Ok(ExitCode::SUCCESS)
}

fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| path.display().to_string())?)
    };
    let mut bytes = Vec::new();
    // one more than is taken: then the reader says how much too long it is
    source
        .take(LIST_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    Ok(bytes)
}

/// What an import would change.
fn rehearse(course: &CourseId, before: &[Enrolment], after: &[Enrolment]) -> ExitCode {
    let before: HashMap<&Subject, &Enrolment> = before.iter().map(|e| (&e.subject, e)).collect();
    let mut rows = Vec::new();
    for person in after {
        let what = match before.get(&person.subject) {
            None => "add",
            Some(known) if *known == person => continue,
            Some(_) => "change",
        };
        let mut row = vec![what.to_owned()];
        row.extend(cells(person));
        rows.push(row);
    }
    if rows.is_empty() {
        println!("{course}: all {} are in it as they are; nothing to do", after.len());
        return ExitCode::SUCCESS;
    }
    table::print(&["DO", "ID", "NAME", "COHORT", "SITE", "COACH", "PLAN"], &rows);
    println!(
        "{course}: {} of {} would be added or changed. Nothing was: leave --dry-run out to do it.",
        rows.len(),
        after.len()
    );
    ExitCode::SUCCESS
}

fn cells(e: &Enrolment) -> Vec<String> {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    vec![
        e.subject.to_string(),
        e.name.clone(),
        text(&e.cohort),
        text(&e.site),
        e.coach.as_ref().map(ToString::to_string).unwrap_or_default(),
        e.plan.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

pub async fn export(config: &Config, args: ExportArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let course = CourseId(args.course);
    let people = store.enrolment_list(&course).await?;
    let separator = match args.separator {
        Separator::Comma => ',',
        Separator::Semicolon => ';',
    };
    let bytes = export_list(&people, &store.site_list().await?, separator);
    let mut out = out::open(args.out.as_deref())?;
    out.write_all(&bytes).and_then(|()| out.flush())?;
    eprintln!("{course}: {} people", people.len());
    Ok(ExitCode::SUCCESS)
}

pub async fn people(config: &Config, course: &CourseId) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let rows: Vec<_> = store.enrolment_list(course).await?.iter().map(cells).collect();
    table::print(&["ID", "NAME", "COHORT", "SITE", "COACH", "PLAN"], &rows);
    if rows.is_empty() {
        eprintln!("Nobody is listed in {course}: `labwire course import {course} FILE` lists people.");
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn remove(config: &Config, course: &CourseId, person: &Subject) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    if !store.unenrol(course, person).await? {
        bail!("{person} is not listed in {course}; `labwire course people {course}` lists who is");
    }
    println!(
        "{person} is not listed in {course} any more. Their lab time and their labs stay: `labwire revoke` takes time back."
    );
    Ok(ExitCode::SUCCESS)
}
