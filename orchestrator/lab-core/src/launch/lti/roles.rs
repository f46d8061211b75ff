//! From LTI's roles to ours.

use crate::launch::Role;

/// Roles in the course that may see every learner's work. `Instructor` also stands for its sub-roles, teaching assistants first.
const STAFF: [&str; 4] = ["Instructor", "TeachingAssistant", "Administrator", "ContentDeveloper"];

/// What somebody is in the course. A teaching assistant of Open edX comes as `Learner` *and* `Instructor#TeachingAssistant`, so any
/// role of the staff is looked for before learners are. Roles in the institution or the system say nothing about this course: a
/// professor may be a learner of it. Unknown roles have a learner's rights.
pub fn role_of<'a>(roles: impl IntoIterator<Item = &'a str>) -> Role {
    if roles.into_iter().filter_map(in_course).any(is_staff) {
        Role::Teacher
    } else {
        Role::Learner
    }
}

/// The name of a role in the course: `Instructor`, or for a sub-role `Instructor#TeachingAssistant`.
fn in_course(role: &str) -> Option<&str> {
    let role = role.trim();
    for prefix in [
        "http://purl.imsglobal.org/vocab/lis/v2/membership#",
        "http://purl.imsglobal.org/vocab/lis/v2/membership/",
        "urn:lti:role:ims/lis/",
    ] {
        if let Some(name) = role.strip_prefix(prefix) {
            return Some(name);
        }
    }
    // the short names of LTI 1.1 are roles in the context
    (!role.contains(':')).then_some(role)
}

fn is_staff(name: &str) -> bool {
    // `Instructor#TeachingAssistant` (1.3) and `Instructor/Lecturer` (1.1) are kinds of their first word
    let kind = name.split(['#', '/']).next().unwrap_or_default();
    STAFF.iter().any(|s| kind.eq_ignore_ascii_case(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "http://purl.imsglobal.org/vocab/lis/v2/";

    fn of(roles: &[&str]) -> Role {
        role_of(roles.iter().copied())
    }

    #[test]
    fn a_teaching_assistant_is_staff_though_also_a_learner() {
        let learner = format!("{V2}membership#Learner");
        let assistant = format!("{V2}membership/Instructor#TeachingAssistant");
        assert_eq!(of(&[&learner, &assistant]), Role::Teacher);
        assert_eq!(of(&[&learner]), Role::Learner);
        assert_eq!(
            of(&["Learner", "urn:lti:role:ims/lis/TeachingAssistant"]),
            Role::Teacher
        );
    }

    #[test]
    fn only_roles_in_this_course_count() {
        let elsewhere = [
            format!("{V2}institution/person#Instructor"),
            format!("{V2}system/person#Administrator"),
            "urn:lti:instrole:ims/lis/Administrator".to_owned(),
            "urn:lti:sysrole:ims/lis/SysAdmin".to_owned(),
        ];
        for role in &elsewhere {
            assert_eq!(of(&[role]), Role::Learner, "{role}");
        }
        assert_eq!(of(&[&elsewhere[0], "Instructor"]), Role::Teacher);
        assert_eq!(of(&["urn:lti:role:ims/lis/Instructor/Lecturer"]), Role::Teacher);
        assert_eq!(of(&[]), Role::Learner);
        assert_eq!(of(&["Wizard", "http://example.org/Instructor"]), Role::Learner);
    }
}
