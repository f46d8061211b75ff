//! `labwire course indicators|funnel`: how runs went, in counts. Nobody is named.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    CourseId, LabId, Subject,
    courses::{IndicatorRule, Indicators, funnel, percent},
    csv::cell,
    port::{CourseStore, Store},
};
use std::{collections::BTreeSet, process::ExitCode};

#[derive(Args, Debug)]
pub struct IndicatorArgs {
    #[arg(value_name = "COURSE")]
    course: String,
    /// Labs of the first week, with commas between: who did all of them, and that of the second week, is diligent
    #[arg(long, value_name = "LABS", value_delimiter = ',', required = true)]
    first_week: Vec<String>,
    /// The first graded lab of the second week
    #[arg(long, value_name = "LAB")]
    second_week: String,
    /// Labs of the course's grade, with commas between; those of both weeks, and all that anybody has a result of, when not given
    #[arg(long, value_name = "LABS", value_delimiter = ',')]
    labs: Vec<String>,
    /// With so many per cent of the course's grade a learner has succeeded
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pass: u8,
    /// As CSV, a row that others can stand below
    #[arg(long)]
    csv: bool,
}

pub async fn indicators(config: &Config, args: IndicatorArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let course = CourseId(args.course);
    let known: BTreeSet<Subject> = store.known_in(&course).await?.into_iter().collect();
    let grades = store.course_grades(&course).await?;
    let set = |labs: Vec<String>| labs.into_iter().map(LabId).collect::<BTreeSet<_>>();
    let (first_week, second_week) = (set(args.first_week), LabId(args.second_week));
    let mut labs = set(args.labs);
    if labs.is_empty() {
        labs.extend(first_week.iter().chain([&second_week]).cloned());
        labs.extend(grades.iter().map(|g| g.lab.clone()));
    }
    for lab in first_week.iter().chain([&second_week]).chain(&labs) {
        if store.lab_latest(lab).await?.is_none() {
            bail!("there is no lab {lab}; `labwire lab ls` lists them");
        }
    }
    let rule = IndicatorRule {
        first_week,
        second_week,
        labs,
        pass_percent: args.pass,
    };
    let count = Indicators::of(&known, &grades, &rule);
    if args.csv {
        print!("{}", csv(&course, &count));
    } else {
        table::print(&["LEARNERS", "COUNT", "SHARE", "OF"], &rows(&count));
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(count: &Indicators) -> Vec<Vec<String>> {
    let [started, diligent, success, kept, diligent_success] = count.shares();
    let row = |what: &str, share: (u64, u64), of: &str| vec![what.into(), share.0.to_string(), said(share), of.into()];
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

fn csv(course: &CourseId, count: &Indicators) -> String {
    let [started, diligent, success, kept, diligent_success] = count.shares();
    let number = |share| percent(share).map_or_else(String::new, |p| format!("{p:.1}"));
    format!(
        "course,enrolled,started,diligent,success,diligent_success,started_of_enrolled,diligent_of_enrolled,success_of_enrolled,\
         diligent_of_started,diligent_success_of_diligent\r\n{},{},{},{},{},{},{},{},{},{},{}\r\n",
        cell(course.as_str()),
        count.enrolled,
        count.started,
        count.diligent,
        count.success,
        count.diligent_success,
        number(started),
        number(diligent),
        number(success),
        number(kept),
        number(diligent_success),
    )
}

fn said(share: (u64, u64)) -> String {
    percent(share).map_or_else(|| "-".to_owned(), |p| format!("{p:.1} %"))
}

pub async fn going_on(config: &Config, courses: Vec<String>) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let mut started = Vec::with_capacity(courses.len());
    for course in &courses {
        let grades = store.course_grades(&CourseId(course.clone())).await?;
        started.push(grades.into_iter().map(|g| g.subject).collect::<BTreeSet<Subject>>());
    }
    let left = funnel(&started);
    let first = left.first().copied().unwrap_or_default();
    let row = |((course, own), left): ((&String, &BTreeSet<Subject>), &u64)| {
        vec![
            course.clone(),
            own.len().to_string(),
            left.to_string(),
            said((*left, first)),
        ]
    };
    let rows: Vec<_> = courses.iter().zip(&started).zip(&left).map(row).collect();
    table::print(&["COURSE", "STARTED", "AND ALL BEFORE", "OF THE FIRST"], &rows);
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
        assert!(csv(&"=net".into(), &count).contains("\"'=net\",1000,144,93,65,63,14.4,9.3,6.5,64.6,67.7\r\n"));
        assert_eq!(said((0, 0)), "-");
    }
}
