//! Who is in a course, asked of its platforms when a teacher wants to know, and not kept.

use super::Asked;
use crate::{App, AppError};
use lab_core::{
    Subject, Timestamp,
    grading::{Verdict, ags},
    launch::{
        Login, Role,
        lti::{
            Kind, MEMBER_PAGES_MAX, MEMBERS_SCOPE, Member, Registration, Roster, members_page, members_request,
            read_members, subject_of,
        },
    },
    port::{ErrorKind, SessionFilter},
};
use std::collections::HashMap;

/// Sessions that are looked at: a class of 2,500 in each of six labs.
const SESSIONS_MAX: u32 = 15_000;

/// The people of a course, as its platforms tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoursePeople {
    /// Whether any platform of the course lists them.
    pub offered: bool,
    /// Not: a list was longer than what is read of it.
    pub complete: bool,
    /// By name, then id.
    pub people: Vec<CoursePerson>,
}

/// One of them, and what is known of them here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoursePerson {
    pub subject: Subject,
    pub name: Option<String>,
    pub role: Role,
    /// Labs of this course that they opened, among the latest of all.
    pub sessions: u32,
    pub last_at: Option<Timestamp>,
}

impl App {
    /// Everybody of the login's course, whether they have opened a lab or not; audited.
    ///
    /// # Errors
    /// `not-allowed`; `members-unavailable` with what the platform said.
    pub async fn course_people(&self, login: &Login) -> Result<CoursePeople, AppError> {
        if !login.role.helps() {
            return Err(AppError::not_allowed(
                "who is in a course, its teachers and coaches see",
            ));
        }
        let rosters = self.ports.store.lti_roster_list(&login.course).await?;
        let mut found = CoursePeople {
            offered: !rosters.is_empty(),
            complete: true,
            people: Vec::new(),
        };
        if rosters.is_empty() {
            return Ok(found);
        }
        self.audit_write(login, "people", (None, Some(login.course.clone())), "")
            .await?;
        let same = self.ports.store.same_person_list().await?;
        let same: HashMap<Subject, Subject> = same.into_iter().map(|s| (s.alias, s.subject)).collect();
        let mut people: HashMap<Subject, CoursePerson> = HashMap::new();
        for roster in &rosters {
            let Some(registration) = self.ports.store.lti_registration_get(&roster.registration).await? else {
                continue;
            };
            let Kind::Platform { issuer, .. } = &registration.kind else {
                continue;
            };
            let (members, complete) = self.members(&registration, roster).await?;
            found.complete &= complete;
            for member in members {
                let subject = subject_of(issuer, &member.user);
                let subject = same.get(&subject).cloned().unwrap_or(subject);
                people.entry(subject.clone()).or_insert_with(|| person(subject, member));
            }
        }
        self.count_sessions(login, &mut people).await?;
        found.people = people.into_values().collect();
        found
            .people
            .sort_by(|a, b| (&a.name, &a.subject).cmp(&(&b.name, &b.subject)));
        Ok(found)
    }

    /// One platform's list, and whether it was read to its end.
    async fn members(&self, registration: &Registration, roster: &Roster) -> Result<(Vec<Member>, bool), AppError> {
        let scopes = [MEMBERS_SCOPE.to_owned()];
        let Some(asked) = Asked::of(registration, &scopes) else {
            return Ok((Vec::new(), true));
        };
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MEMBER_PAGES_MAX {
            let request = |token: &str| match &next {
                None => members_request(&roster.url, token),
                Some(url) => members_page(url, token),
            };
            let answer = self.platform_tokens.ask(&self.ports, &asked, request).await?;
            let answer = answer.map_err(|verdict| unavailable(registration, &verdict))?;
            all.extend(read_members(&answer).map_err(|verdict| unavailable(registration, &verdict))?);
            match answer.next {
                None => return Ok((all, true)),
                // the token is for this platform
                Some(url) if ags::goes_on(&roster.url, &url) => next = Some(url),
                Some(_) => {
                    let verdict = Verdict::refused("members-elsewhere", "its list goes on at another host");
                    return Err(unavailable(registration, &verdict));
                }
            }
        }
        Ok((all, false))
    }

    async fn count_sessions(&self, login: &Login, people: &mut HashMap<Subject, CoursePerson>) -> Result<(), AppError> {
        let filter = SessionFilter {
            course: Some(login.course.clone()),
            limit: SESSIONS_MAX,
            ..SessionFilter::default()
        };
        for session in self.ports.store.session_list(&filter).await? {
            if let Some(person) = people.get_mut(&session.subject) {
                person.sessions += 1;
                person.last_at = person.last_at.max(Some(session.requested_at));
            }
        }
        Ok(())
    }
}

fn person(subject: Subject, member: Member) -> CoursePerson {
    CoursePerson {
        subject,
        name: member.name,
        role: member.role,
        sessions: 0,
        last_at: None,
    }
}

fn unavailable(registration: &Registration, verdict: &Verdict) -> AppError {
    let why = match verdict {
        Verdict::Later { detail, .. } | Verdict::Refused { detail, .. } => detail.as_str(),
        _ => "it takes none of its own tokens",
    };
    tracing::info!(registration = %registration.id, why, "a platform does not list the people of a course");
    AppError::refused(
        ErrorKind::Unavailable,
        "members-unavailable",
        format!("the course's platform does not list its people: {why}"),
    )
}
