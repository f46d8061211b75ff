//! Who is in a course, where the platform tells: Names and Role Provisioning Services 2.0. Nothing depends on it; what is told is shown and
//! not kept, since a list of names is the platform's to keep.

use super::{RegistrationId, identifier, is_address, role_of, shown};
use crate::{
    CourseId,
    grading::Verdict,
    launch::Role,
    port::{PlatformAnswer, PlatformRequest},
};
use serde_json::Value;

/// What a token is asked for.
pub const MEMBERS_SCOPE: &str = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly";
const SERVICE: &str = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice";
const MEMBERS_TYPE: &str = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json";

/// People asked for at once: 200 bytes each are a twelfth of what is read of an answer at most.
const PAGE: u32 = 100;
/// A class of 2,500 twice over. Open edX refuses lists that are much longer than a page, unless they are asked for in pages.
pub const MEMBER_PAGES_MAX: u32 = 50;

/// Where a platform lists the people of a course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    pub registration: RegistrationId,
    pub course: CourseId,
    pub url: String,
}

/// Somebody who is in a course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// In the platform's words.
    pub user: String,
    /// Only when the platform tells.
    pub name: Option<String>,
    pub role: Role,
}

/// What an `id_token` offers. What is odd in it is no offer: a launch is never refused for it.
pub fn members_of_token(claims: &Value) -> Option<String> {
    let claim = claims.get(SERVICE)?;
    let versions = claim.get("service_versions").and_then(Value::as_array);
    if versions.is_some_and(|all| !all.iter().any(|v| v == "2.0")) {
        return None;
    }
    let url = claim.get("context_memberships_url").and_then(Value::as_str)?;
    is_address(url).then(|| url.to_owned())
}

/// Asks for the first people of a course.
pub fn members_request(url: &str, token: &str) -> PlatformRequest {
    let sign = if url.contains('?') { '&' } else { '?' };
    members_page(&format!("{url}{sign}limit={PAGE}"), token)
}

/// Asks for more of them, where the platform says that the list goes on.
pub fn members_page(url: &str, token: &str) -> PlatformRequest {
    PlatformRequest::get(url, MEMBERS_TYPE).header("authorization", format!("Bearer {token}"))
}

/// Reads one page. Who is not active any more, or has no id, is left out.
pub fn read_members(answer: &PlatformAnswer) -> Result<Vec<Member>, Verdict> {
    if answer.status != 200 {
        return Err(Verdict::later(
            "members-refused",
            format!("the platform answers {}", answer.status),
        ));
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let members = body.get("members").and_then(Value::as_array);
    let members =
        members.ok_or_else(|| Verdict::later("members-unreadable", "no `members` are in the platform's answer"))?;
    Ok(members.iter().filter_map(member).collect())
}

fn member(value: &Value) -> Option<Member> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("status").is_some_and(|s| !s.eq_ignore_ascii_case("active")) {
        return None;
    }
    let roles = value
        .get("roles")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let whole = text("name").and_then(shown);
    let parts = || {
        let parts = [text("given_name"), text("family_name")];
        shown(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    };
    Some(Member {
        user: text("user_id").and_then(identifier)?.to_owned(),
        name: whole.or_else(parts),
        // some platforms write the roles of a member without the address before them
        role: role_of(roles.iter().filter_map(Value::as_str)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(status: u16, body: &str) -> PlatformAnswer {
        PlatformAnswer {
            status,
            body: body.to_owned(),
            retry_after: None,
            next: None,
        }
    }

    #[test]
    fn an_offer_is_an_address_of_a_version_that_we_speak() {
        let offer = |url: &str, versions: Value| {
            members_of_token(&json!({(SERVICE): {"context_memberships_url": url, "service_versions": versions}}))
        };
        assert_eq!(
            offer("https://lms/members", json!(["2.0"])),
            Some("https://lms/members".to_owned())
        );
        assert_eq!(
            offer("https://lms/members", Value::Null),
            Some("https://lms/members".to_owned())
        );
        assert_eq!(offer("https://lms/members", json!(["3.0"])), None);
        assert_eq!(offer("javascript:x", json!(["2.0"])), None);
        assert_eq!(members_of_token(&json!({})), None);
    }

    #[test]
    fn members_may_be_nothing_but_ids_and_roles_and_who_left_is_not_one() {
        let body = json!({"id": "x", "members": [
            {"user_id": "1", "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"], "status": "Active"},
            {"user_id": "2", "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"], "name": "Mme Ébène"},
            {"user_id": "3", "roles": [], "given_name": "Zoë", "family_name": "Côté"},
            {"user_id": "4", "roles": [], "status": "Inactive"},
            {"roles": []},
            {"user_id": ""},
        ]});
        let members = read_members(&page(200, &body.to_string())).unwrap();
        let seen: Vec<_> = members
            .iter()
            .map(|m| (m.user.as_str(), m.role, m.name.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("1", Role::Learner, None),
                ("2", Role::Teacher, Some("Mme Ébène")),
                ("3", Role::Learner, Some("Zoë Côté"))
            ]
        );
        for bad in [
            page(403, "{}"),
            page(200, "<html>"),
            page(200, "{}"),
            page(200, "{\"members\": 3}"),
        ] {
            assert!(read_members(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn people_are_asked_for_in_pages_behind_whatever_the_address_asks_already() {
        let asked = |url| members_request(url, "t").url;
        assert_eq!(asked("https://lms/m?type=2"), "https://lms/m?type=2&limit=100");
        assert_eq!(asked("https://lms/m"), "https://lms/m?limit=100");
    }
}
