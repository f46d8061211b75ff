//! The claim by which a platform that went from LTI 1.1 to 1.3 says who somebody was before (1EdTech, *LTI 1.3 Migration Guide*, "LTI 1.1 migration
//! claim"). It names a consumer key of 1.1 and is signed with that key's secret: so a platform speaks for the people of its own keys only.

use super::{CLAIM, consumer_name, identifier, subject};
use crate::Subject;
use serde_json::Value;

/// Who somebody was by LTI 1.1, and how that is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// By which the platform launched with LTI 1.1.
    pub key: String,
    /// The person, as launches with that key name them.
    pub subject: Subject,
    /// What is signed with the key's secret, by HMAC-SHA256.
    pub signed: String,
    /// Base64.
    pub signature: String,
}

impl Migration {
    /// Reads it from claims that were checked. `None` where there is none, or no proof: links, contexts and other ids that a platform may name in it are
    /// of no use here, and neither is a person without a signature.
    pub fn of_token(claims: &Value, client_id: &str) -> Option<Self> {
        let of = |name: &str| claims.get(name).and_then(Value::as_str);
        let old = claims.get(format!("{CLAIM}lti1p1"))?;
        let old_text = |name: &str| old.get(name).and_then(Value::as_str);
        let key = old_text("oauth_consumer_key").and_then(identifier)?;
        // left out where it is what it was
        let user = old_text("user_id").or(of("sub")).and_then(identifier)?;
        let deployment = claims.get(format!("{CLAIM}deployment_id"))?.as_str()?;
        let expires = claims.get("exp")?;
        let signed = [
            key,
            deployment,
            of("iss")?,
            client_id,
            &expires.to_string(),
            of("nonce")?,
        ]
        .join("&");
        Some(Self {
            key: key.to_owned(),
            subject: subject(&consumer_name(key), user),
            signed,
            signature: old_text("oauth_consumer_key_sign")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example of the guide.
    fn example() -> Value {
        json!({
            "nonce": "172we8671fd8z", "iat": 1_551_290_796, "exp": 1_551_290_856, "iss": "https://lmsvendor.com",
            "aud": "PM48OJSfGDTAzAo", "sub": "3",
            (format!("{CLAIM}deployment_id")): "689302",
            (format!("{CLAIM}lti1p1")): {
                "user_id": "34212",
                "oauth_consumer_key": "179248902",
                "oauth_consumer_key_sign": "lWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6+12ps=",
            },
        })
    }

    #[test]
    fn what_is_signed_is_what_the_guide_says() {
        let read = Migration::of_token(&example(), "PM48OJSfGDTAzAo").unwrap();
        assert_eq!(
            read.signed,
            "179248902&689302&https://lmsvendor.com&PM48OJSfGDTAzAo&1551290856&172we8671fd8z"
        );
        assert_eq!(
            (read.key.as_str(), read.subject.as_str()),
            ("179248902", "lti:179248902#34212")
        );
    }

    #[test]
    fn an_id_that_stayed_is_left_out_and_what_proves_nothing_is_nothing() {
        let without = |name: &str| {
            let mut claims = example();
            claims[format!("{CLAIM}lti1p1")].as_object_mut().unwrap().remove(name);
            Migration::of_token(&claims, "PM48OJSfGDTAzAo")
        };
        assert_eq!(without("user_id").unwrap().subject.as_str(), "lti:179248902#3");
        assert_eq!(without("oauth_consumer_key"), None);
        assert_eq!(without("oauth_consumer_key_sign"), None);
        let mut claims = example();
        claims.as_object_mut().unwrap().remove(&format!("{CLAIM}lti1p1"));
        assert_eq!(Migration::of_token(&claims, "PM48OJSfGDTAzAo"), None);
    }
}
