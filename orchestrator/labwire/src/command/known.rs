//! Names that somebody gives: those that are probably slips are refused, with what was probably meant.

use anyhow::{Result, bail};
use lab_core::{
    CourseId, LabId, Subject, nearest,
    port::{SessionFilter, Store},
};

/// A course need not be there: links and launches make it, and dates and people only describe it. But one that is a letter away from a course that is
/// there is more often a slip than a new course, and its learners would be in a course that nobody looks at.
pub(super) async fn course(store: &dyn Store, course: &str, new: bool) -> Result<()> {
    let (launched, described) = (store.course_list().await?, store.run_list().await?);
    let known = || {
        let launched = launched.iter().map(|c| c.id.as_str());
        launched.chain(described.iter().map(|r| r.course.as_str()))
    };
    if new || known().any(|id| id == course) {
        return Ok(());
    }
    // a platform's own name of its course is only a part of ours: `lms.example.org#course-v1:IMT+NET101`
    let whole = known().find(|id| id.split_once('#').is_some_and(|(_, context)| context == course));
    if let Some(meant) = whole.or_else(|| nearest(course, known())) {
        bail!(
            "--course {course} is no course yet; is {meant} meant? If not, say --new-course: its first launch makes it. `labwire course add {course} \
             --title TITLE` gives it a title and dates before"
        );
    }
    eprintln!(
        "course {}: not here yet; its first launch makes it (`labwire course add` gives it a title and dates before)",
        CourseId::from(course)
    );
    Ok(())
}

/// What a report is asked of: a name that nothing here has would make an empty report, which reads like "nothing was used".
pub(super) async fn asked_of(
    store: &dyn Store,
    course: Option<&CourseId>,
    learner: Option<&Subject>,
    lab: Option<&LabId>,
) -> Result<()> {
    if let Some(course) = course {
        let (launched, described) = (store.course_list().await?, store.run_list().await?);
        let known = launched
            .iter()
            .map(|c| c.id.as_str())
            .chain(described.iter().map(|r| r.course.as_str()));
        named("course", course.as_str(), known)?;
    }
    if let Some(lab) = lab
        && store.lab_last(lab).await?.is_none()
    {
        let labs = store.lab_list().await?;
        named("lab", lab.as_str(), labs.iter().map(|l| l.file.id.as_str()))?;
    }
    if let Some(learner) = learner
        && store.grant_list(learner, None).await?.is_empty()
    {
        let sessions = store.session_list(&SessionFilter::default()).await?;
        named("learner", learner.as_str(), sessions.iter().map(|s| s.subject.as_str()))?;
    }
    Ok(())
}

fn named<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    if known.clone().any(|k| k == name) {
        return Ok(());
    }
    match nearest(name, known) {
        Some(meant) => bail!("--{what} {name}: there is no such {what}; is {meant} meant?"),
        None => bail!("--{what} {name}: there is no such {what}; {}", hint(what)),
    }
}

fn hint(what: &str) -> &'static str {
    match what {
        "course" => "`labwire course ls` lists those that are here",
        "lab" => "`labwire lab ls` lists those that are published",
        _ => "nobody of that id was given lab time or ran a lab; `labwire session ls --all` lists who did",
    }
}
