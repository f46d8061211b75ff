//! Groups of the organisation become a role, by a list that the installation wrote.

use crate::{
    CourseId, SponsorId,
    launch::{Bound, Role},
};
use serde_json::{Map, Value};

/// Groups of one person that are looked at: a large university has people in some hundred, and a token of more than this many would
/// not fit a provider's own limits.
pub const GROUPS_MAX: usize = 1000;

/// Who is in this group has this role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// As the provider writes it, letter by letter.
    pub group: String,
    pub role: Role,
    pub course: Option<CourseId>,
    pub sponsor: Option<SponsorId>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRuleProblem {
    pub field: &'static str,
    pub found: String,
    pub remedy: &'static str,
}

impl GroupRule {
    /// Whether it names exactly what its role is bound to.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), GroupRuleProblem> {
        let wrong = |field, found: &str, remedy| {
            Err(GroupRuleProblem {
                field,
                found: found.to_owned(),
                remedy,
            })
        };
        let (course, sponsor) = (self.course.as_ref(), self.sponsor.as_ref());
        if self.role == Role::Learner {
            return wrong(
                "role",
                "learner",
                "use teacher, coach, author, enrolment, manager, sponsor or operations; learners come by their course",
            );
        }
        match self.role.bound() {
            Bound::Course if course.is_none() => {
                wrong("course", "nothing", "name the course: this role is for one course")
            }
            Bound::Sponsor if sponsor.is_none() => {
                wrong("sponsor", "nothing", "name the sponsor whose statement this role reads")
            }
            Bound::Sponsor | Bound::Nothing if course.is_some() => {
                wrong("course", "a course", "leave it out: this role is for no single course")
            }
            Bound::Course | Bound::Nothing if sponsor.is_some() => {
                wrong("sponsor", "a sponsor", "leave it out: only the role sponsor has one")
            }
            _ => Ok(()),
        }
    }
}

/// What somebody may be here: the rules of groups that they are in, in the order they were written; what two groups give alike is there once.
pub fn rules_for<'a>(rules: &'a [GroupRule], groups: &[String]) -> Vec<&'a GroupRule> {
    let mut theirs: Vec<&GroupRule> = Vec::new();
    for rule in rules.iter().filter(|rule| groups.contains(&rule.group)) {
        let same = |r: &&GroupRule| (r.role, &r.course, &r.sponsor) == (rule.role, &rule.course, &rule.sponsor);
        if !theirs.iter().any(same) {
            theirs.push(rule);
        }
    }
    theirs
}

/// The groups in a claim: a list of texts, or one text. A claim within another is named by a path (`realm_access.roles`), unless one of
/// that very name is there. `None`: there is no such claim.
pub fn groups_of(claims: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let claim = claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    })?;
    let text = |v: &Value| v.as_str().map(str::to_owned);
    Some(match claim {
        Value::Array(items) => items.iter().take(GROUPS_MAX).filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(group: &str, role: Role, course: Option<&str>, sponsor: Option<&str>) -> GroupRule {
        GroupRule {
            group: group.into(),
            role,
            course: course.map(Into::into),
            sponsor: sponsor.map(Into::into),
        }
    }

    #[test]
    fn somebody_is_all_that_their_groups_give_in_the_order_it_was_written_and_no_group_is_no_role() {
        let rules = [
            rule("ops", Role::Operations, None, None),
            rule("ens", Role::Teacher, Some("net"), None),
            rule("ens", Role::Coach, Some("web"), None),
            rule("staff", Role::Coach, Some("web"), None),
            rule("staff", Role::Coach, Some("net"), None),
        ];
        let of = |groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
            let course = |r: &GroupRule| r.course.as_ref().map_or("", |c| c.as_str()).to_owned();
            let theirs = rules_for(&rules, &groups);
            theirs.iter().map(|r| (r.role, course(r))).collect::<Vec<_>>()
        };
        let (teacher, coach) = ((Role::Teacher, "net".to_owned()), (Role::Coach, "web".to_owned()));
        assert_eq!(
            of(&["ens", "ops"]),
            [(Role::Operations, String::new()), teacher.clone(), coach.clone()],
            "the order of the rules, not of the groups"
        );
        assert_eq!(of(&["ens"]), [teacher.clone(), coach.clone()]);
        assert_eq!(
            of(&["staff", "ens"]),
            [teacher, coach, (Role::Coach, "net".to_owned())],
            "once what two groups give alike"
        );
        assert_eq!(of(&["ENS", "ens2", ""]), []);
        assert_eq!(of(&[]), []);
    }

    #[test]
    fn groups_are_read_from_a_list_a_text_or_within() {
        let claims = json!({"groups": ["/ens", 7, "b"], "one": "ens", "realm_access": {"roles": ["r"]}, "a.b": ["plain"], "a": {"b": ["deep"]}});
        let Value::Object(claims) = claims else {
            unreachable!("it is written above")
        };
        let of = |name: &str| groups_of(&claims, name);
        assert_eq!(of("groups"), Some(vec!["/ens".into(), "b".into()]));
        assert_eq!(of("one"), Some(vec!["ens".into()]));
        assert_eq!(of("realm_access.roles"), Some(vec!["r".into()]));
        assert_eq!(of("a.b"), Some(vec!["plain".into()]));
        assert_eq!(of("realm_access"), Some(Vec::new()), "something else than groups");
        assert_eq!(of("realm_access.none"), None);
        assert_eq!(of("missing"), None);
    }

    #[test]
    fn a_rule_names_what_its_role_is_bound_to_and_nothing_else() {
        for role in Role::ALL {
            let bound = role.bound();
            for (course, sponsor) in [
                (None, None),
                (Some("c"), None),
                (None, Some("s")),
                (Some("c"), Some("s")),
            ] {
                let fits = match bound {
                    Bound::Course => course.is_some() && sponsor.is_none(),
                    Bound::Sponsor => course.is_none() && sponsor.is_some(),
                    Bound::Nothing => course.is_none() && sponsor.is_none(),
                };
                let fits = fits && role != Role::Learner;
                let checked = rule("g", role, course, sponsor).check();
                assert_eq!(checked.is_ok(), fits, "{role:?} {course:?} {sponsor:?}: {checked:?}");
            }
        }
    }
}
