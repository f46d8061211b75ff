//! Counts as CSV: the same columns from the command line and the page, so that files can be put together.

use super::FunnelStep;
use lab_core::{
    CourseId, Timestamp,
    courses::{CourseTable, Indicators, LabProgression, percent},
    csv::cell,
};
use std::fmt::Write as _;

const SHARES: &str =
    "started_of_enrolled,diligent_of_enrolled,success_of_enrolled,diligent_of_started,diligent_success_of_diligent";

/// A row a course. With several, the mean of their shares and all of them together come last.
pub fn indicators_csv(table: &CourseTable) -> String {
    let mut out = format!("course,enrolled,started,diligent,success,diligent_success,{SHARES}\r\n");
    for (course, run) in &table.courses {
        row(&mut out, &cell(course.as_str()), run);
    }
    if table.courses.len() > 1 {
        let means: Vec<String> = table.means().map(number).to_vec();
        let _ = write!(out, "(mean),,,,,,{}\r\n", means.join(","));
        row(&mut out, "(all)", &table.sum());
    }
    out
}

fn row(out: &mut String, course: &str, run: &Indicators) {
    let shares: Vec<String> = run.shares().map(|share| number(percent(share))).to_vec();
    let _ = write!(
        out,
        "{course},{},{},{},{},{},{}\r\n",
        run.enrolled,
        run.started,
        run.diligent,
        run.success,
        run.diligent_success,
        shares.join(",")
    );
}

fn number(percent: Option<f64>) -> String {
    percent.map_or_else(String::new, |p| format!("{p:.1}"))
}

/// A row a course, in their order.
pub fn funnel_csv(steps: &[FunnelStep]) -> String {
    let first = steps.first().map_or(0, |s| s.left);
    let mut out = String::from("course,started,and_all_before,of_the_first\r\n");
    for step in steps {
        let share = number(percent((step.left, first)));
        let _ = write!(
            out,
            "{},{},{},{share}\r\n",
            cell(step.course.as_str()),
            step.started,
            step.left
        );
    }
    out
}

/// A row a lab; a column before each date, and one for those after the last.
pub fn progression_csv(course: &CourseId, labs: &[LabProgression], dates: &[Timestamp]) -> String {
    let mut out = String::from("course,lab,done");
    for date in dates {
        let _ = write!(out, ",before_{date}");
    }
    out.push_str(if dates.is_empty() {
        ",whenever\r\n"
    } else {
        ",later\r\n"
    });
    for lab in labs {
        let within: Vec<String> = lab.within.iter().map(u64::to_string).collect();
        let (course, of) = (cell(course.as_str()), cell(lab.lab.as_str()));
        let _ = write!(out, "{course},{of},{},{}\r\n", lab.total, within.join(","));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_with_its_mean_and_its_sum_and_one_course_is_a_row() {
        let run = |enrolled, started| Indicators {
            enrolled,
            started,
            diligent: 10,
            success: 5,
            diligent_success: 5,
        };
        let one = CourseTable {
            courses: vec![("=net".into(), run(1000, 100))],
        };
        let rows: Vec<String> = indicators_csv(&one).lines().map(str::to_owned).collect();
        assert_eq!(rows[1..], ["\"'=net\",1000,100,10,5,5,10.0,1.0,0.5,10.0,50.0"]);
        let two = CourseTable {
            courses: vec![("a".into(), run(1000, 100)), ("b".into(), run(100, 50))],
        };
        let rows: Vec<String> = indicators_csv(&two).lines().map(str::to_owned).collect();
        assert_eq!(rows[3], "(mean),,,,,,30.0,5.5,2.8,15.0,50.0");
        assert_eq!(rows[4], "(all),1100,150,20,10,10,13.6,1.8,0.9,13.3,50.0");
    }

    #[test]
    fn a_progression_names_its_dates() {
        let labs = [LabProgression {
            lab: "es02".into(),
            total: 378,
            within: vec![283, 35, 60],
        }];
        let dates = [Timestamp::from_secs(0), Timestamp::from_secs(86_400)];
        let text = progression_csv(&"net".into(), &labs, &dates);
        assert!(text.ends_with("net,es02,378,283,35,60\r\n"), "{text}");
        assert!(text.starts_with("course,lab,done,before_1970-01-01T00:00:00"), "{text}");
    }
}
