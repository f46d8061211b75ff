//! Names that somebody gives: those that are probably slips are refused, with what was probably meant.

use anyhow::{Result, bail};
use lab_core::{CourseId, nearest, port::Store};

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
    if let Some(meant) = nearest(course, known()) {
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
