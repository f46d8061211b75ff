//! Where staff sign in, and what they are here.

use super::{ConfigArgs, Problem, reader::Section};
use lab_app::launch::staff::StaffSettings;
use lab_core::launch::{Role, staff::GroupRule};
use secrecy::SecretString;
use serde_json::json;
use serde_yaml::Value;
use std::path::Path;

/// A list of a large university: some twenty schools with a dozen courses, four roles each.
const RULES_MAX: usize = 1000;

/// The claim that most providers can be told to fill.
const GROUPS_CLAIM: &str = "groups";

fn text(t: &str) -> Option<String> {
    (!t.is_empty()).then(|| t.to_owned())
}

pub(super) fn read(
    args: &ConfigArgs,
    top: &mut Section,
    base: &Path,
    problems: &mut Vec<Problem>,
) -> Option<StaffSettings> {
    let mut s = Section::open("staff_login", top.take("staff_login")?, problems);
    let address = "write the issuer's address as its /.well-known/openid-configuration has it";
    let issuer = s.parsed("issuer", None, address, problems, |u| {
        (u.starts_with("https://") || u.starts_with("http://")).then(|| u.to_owned())
    });
    let id = "write the client's id at the provider";
    let client_id = s.parsed("client_id", None, id, problems, text);
    let path = "write the path of a file that holds the secret";
    let file = s.parsed("client_secret_file", None, path, problems, |p| Some(base.join(p)));
    let given = args.staff_client_secret.clone().filter(|t| !t.is_empty());
    let client_secret = match (given, file) {
        (Some(given), _) => Some(given.into()),
        (None, Some(path)) => secret_in(&path, problems),
        (None, None) => None,
    };
    let scopes = scopes(s.list("scopes", problems), problems);
    let groups_claim = s.parsed("groups_claim", None, "write the claim's name", problems, text);
    let roles = rules(s.list("roles", problems), problems);
    s.close(problems);
    let none = "write a list of {group, role, course or sponsor}: without one nobody gets in";
    for (key, missing, remedy) in [
        ("issuer", issuer.is_none(), address),
        ("client_id", client_id.is_none(), id),
        ("roles", roles.is_empty(), none),
    ] {
        let key = format!("staff_login.{key}");
        if missing && !problems.iter().any(|p| p.key.starts_with(&key)) {
            problems.push(Problem {
                key,
                found: "nothing".into(),
                remedy: remedy.to_owned(),
            });
        }
    }
    Some(StaffSettings {
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        scopes,
        groups_claim: groups_claim.unwrap_or_else(|| GROUPS_CLAIM.into()),
        roles,
    })
}

/// Besides `openid`, which is always asked for; `profile` where nothing is written, as it brings the name.
fn scopes(asked: Vec<(String, Value)>, problems: &mut Vec<Problem>) -> Vec<String> {
    if asked.is_empty() {
        return vec!["profile".into()];
    }
    let mut scopes = Vec::new();
    for (at, value) in asked {
        match value.as_str().filter(|s| !s.is_empty() && !s.contains(' ')) {
            Some("openid") => {}
            Some(scope) => scopes.push(scope.to_owned()),
            None => problems.push(Problem {
                key: at,
                found: super::reader::shown(&value),
                remedy: "write one scope, like profile".into(),
            }),
        }
    }
    scopes
}

fn secret_in(path: &Path, problems: &mut Vec<Problem>) -> Option<SecretString> {
    let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
    let read = read.and_then(|text| match text.trim() {
        "" => Err("it is empty".to_owned()),
        text => Ok(SecretString::from(text.to_owned())),
    });
    read.map_err(|e| {
        problems.push(Problem {
            key: "staff_login.client_secret_file".into(),
            found: format!("{} ({e})", path.display()),
            remedy: "make the file readable for this program, with the client's secret in it".into(),
        });
    })
    .ok()
}

fn rules(items: Vec<(String, Value)>, problems: &mut Vec<Problem>) -> Vec<GroupRule> {
    if items.len() > RULES_MAX {
        problems.push(Problem {
            key: "staff_login.roles".into(),
            found: format!("{} rules", items.len()),
            remedy: format!("write at most {RULES_MAX}"),
        });
        return Vec::new();
    }
    let mut rules = Vec::with_capacity(items.len());
    for (at, value) in items {
        rules.extend(rule(&at, value, problems));
    }
    rules
}

fn rule(at: &str, value: Value, problems: &mut Vec<Problem>) -> Option<GroupRule> {
    let before = problems.len();
    let mut s = Section::open(at, value, problems);
    let group = s.parsed(
        "group",
        None,
        "write the group as the provider tells it",
        problems,
        text,
    );
    let one_of = format!("use one of {}", Role::names());
    let role = s.parsed("role", None, &one_of, problems, Role::from_name);
    let course = s.parsed("course", None, "write the course's id", problems, text);
    let sponsor = s.parsed("sponsor", None, "write the sponsor's id", problems, text);
    s.close(problems);
    let (Some(group), Some(role)) = (group, role) else {
        if problems.len() == before {
            problems.push(Problem {
                key: at.to_owned(),
                found: "no whole rule".into(),
                remedy: "give it `group` and `role`, and where the role needs one `course` or `sponsor`".into(),
            });
        }
        return None;
    };
    let read = GroupRule {
        group,
        role,
        course: course.map(Into::into),
        sponsor: sponsor.map(Into::into),
    };
    if let Err(wrong) = read.check() {
        problems.push(Problem {
            key: format!("{at}.{}", wrong.field),
            found: wrong.found,
            remedy: wrong.remedy.into(),
        });
        return None;
    }
    Some(read)
}

/// As the settings are shown.
pub(super) fn shown(staff: Option<&StaffSettings>) -> serde_json::Value {
    let Some(staff) = staff else {
        return serde_json::Value::Null;
    };
    let rule = |r: &GroupRule| {
        let mut shown = json!({"group": r.group, "role": r.role.name()});
        if let Some(course) = &r.course {
            shown["course"] = course.as_str().into();
        }
        if let Some(sponsor) = &r.sponsor {
            shown["sponsor"] = sponsor.as_str().into();
        }
        shown
    };
    json!({
        "issuer": staff.issuer,
        "client_id": staff.client_id,
        "client_secret": staff.client_secret.as_ref().map(|_| "(set)"),
        "scopes": staff.scopes,
        "groups_claim": staff.groups_claim,
        "roles": staff.roles.iter().map(rule).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn read_of(text: &str) -> (Option<StaffSettings>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut top = Section::open("", serde_yaml::from_str(text).unwrap(), &mut problems);
        let staff = read(&ConfigArgs::default(), &mut top, Path::new(""), &mut problems);
        top.close(&mut problems);
        (staff, problems)
    }

    #[test]
    fn a_sign_in_is_read_whole_and_shown_without_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hush\n").unwrap();
        let (staff, problems) = read_of(&format!(
            "staff_login:\n  issuer: https://login.example.org/realms/ens\n  client_id: labwire\n  client_secret_file: {}\n  \
             roles: [{{group: /ens-ospf, role: teacher, course: net}}, {{group: esp, role: sponsor, sponsor: esp-dakar}}, {{group: ops, role: operations}}]\n",
            file.display()
        ));
        assert_eq!(problems, []);
        let staff = staff.unwrap();
        let secret = staff.client_secret.as_ref().map(|s| s.expose_secret().to_owned());
        assert_eq!(secret.as_deref(), Some("hush"));
        assert_eq!(
            (staff.groups_claim.as_str(), staff.scopes.as_slice()),
            ("groups", &["profile".to_owned()][..])
        );
        assert_eq!(staff.roles.len(), 3);
        let shown = shown(Some(&staff)).to_string();
        assert!(shown.contains("(set)") && !shown.contains("hush"), "{shown}");
        assert!(read_of("{}").0.is_none(), "no section, no sign-in");
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let (_, problems) = read_of(
            "staff_login:\n  issuer: login.example.org\n  client_secret: hush\n  client_secret_file: /not/there\n  scopes: ['a b']\n  \
             roles: [{group: a, role: teacher}, {group: b, role: wizard}, {group: c, role: learner, course: net}, {role: author}, {group: d, role: sponsor}]\n",
        );
        let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
        for key in [
            "staff_login.issuer",
            "staff_login.client_id",
            "staff_login.client_secret",
            "staff_login.client_secret_file",
            "staff_login.scopes[0]",
            "staff_login.roles[0].course",
            "staff_login.roles[1].role",
            "staff_login.roles[2].role",
            "staff_login.roles[3]",
            "staff_login.roles[4].sponsor",
        ] {
            assert!(keys.contains(&key), "{key} is not in {keys:?}");
        }
        assert!(!format!("{problems:?}").contains("hush"), "{problems:?}");
        let (staff, problems) = read_of("staff_login: {issuer: 'https://a', client_id: b}");
        assert!(
            staff.is_some() && problems.iter().any(|p| p.key == "staff_login.roles"),
            "{problems:?}"
        );
    }
}
