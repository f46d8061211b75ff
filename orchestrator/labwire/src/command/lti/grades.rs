//! `labwire lti grades`: what goes back to courses.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    grading::{GradeRow, GradeState},
    launch::lti::RegistrationId,
    port::{Clock, GRADES_LISTED_MAX, GradeStore, LtiStore},
};
use std::process::ExitCode;

/// Grades on their way to courses, and those that were refused, with the reason
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire lti grades              # of every registration, refused ones first\n  \
                  labwire lti grades net101       # of one\n  \
                  labwire lti grades net101 --retry   # after something was mended: try again what was refused or waits"
)]
pub struct GradesArgs {
    /// Of one registration
    name: Option<String>,
    /// Send refused and waiting ones again, now
    #[arg(long)]
    retry: bool,
}

pub async fn run(config: &Config, args: GradesArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let wanted = args.name.map(RegistrationId);
    if let Some(id) = &wanted
        && store.lti_registration_get(id).await?.is_none()
    {
        bail!("no registration is named {id}; `labwire lti ls` lists them");
    }
    if args.retry {
        let n = store.grade_retry(wanted.as_ref(), wire::clock().now()).await?;
        println!("{n} to be sent again: at once, or within 15 minutes where the platform did not answer\n");
    }
    let all = store.grade_list(wanted.as_ref()).await?;
    if all.is_empty() {
        println!("no learner has come from a course that takes grades");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = all.iter().map(cells).collect();
    table::print(
        &["NAME", "LEARNER", "COURSE", "LAB", "GRADE", "STATE", "WHEN", "REASON"],
        &rows,
    );
    if all.len() >= GRADES_LISTED_MAX as usize {
        println!("\nthere are more; name a registration");
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &GradeRow) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let when = match row.state {
        GradeState::Idle => None,
        GradeState::Pending => Some(format!("next try {}", row.next_at)),
        GradeState::Sent => row.sent.map(|s| s.at.to_string()),
        GradeState::Failed => row.sent.map(|s| format!("has {} of {}", s.grade, s.at)),
    };
    let reason = row.trouble.as_ref().map(|t| {
        let tries = if row.attempts == 1 { "try" } else { "tries" };
        format!("{}: {} ({} {tries})", t.code, t.detail, row.attempts)
    });
    vec![
        row.target.registration.to_string(),
        row.target.user.clone(),
        row.target.course.to_string(),
        row.target.lab.to_string(),
        or_dash(row.grade.map(|g| g.to_string())),
        row.state.name().to_owned(),
        or_dash(when),
        or_dash(reason),
    ]
}
