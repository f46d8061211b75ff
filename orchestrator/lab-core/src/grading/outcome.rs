//! LTI 1.1, Basic Outcomes: a message in XML, signed by OAuth 1.0 with the hash of its body.

use super::{
    Grade, Verdict,
    verdict::{by_status, said},
};
use crate::{
    Timestamp,
    html::escape,
    launch::lti::{Params, percent_encode},
    port::PlatformAnswer,
};

/// What the platform takes; Open edX verifies no other type.
pub const CONTENT_TYPE: &str = "application/xml";

/// The message that replaces a result; the only one that Open edX knows. `id` tells messages apart.
pub fn replace_result(id: &str, sourcedid: &str, grade: Grade) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <imsx_POXEnvelopeRequest xmlns=\"http://www.imsglobal.org/services/ltiv1p1/xsd/imsoms_v1p0\">\
         <imsx_POXHeader><imsx_POXRequestHeaderInfo><imsx_version>V1.0</imsx_version>\
         <imsx_messageIdentifier>{}</imsx_messageIdentifier></imsx_POXRequestHeaderInfo></imsx_POXHeader>\
         <imsx_POXBody><replaceResultRequest><resultRecord><sourcedGUID><sourcedId>{}</sourcedId></sourcedGUID>\
         <result><resultScore><language>en</language><textString>{}</textString></resultScore></result>\
         </resultRecord></replaceResultRequest></imsx_POXBody></imsx_POXEnvelopeRequest>",
        escaped(id),
        escaped(sourcedid),
        grade.fraction()
    )
}

/// Text for XML, which knows all that [`escape`] writes. What XML 1.0 cannot say is left out.
fn escaped(text: &str) -> String {
    let sayable = |c: &char| !c.is_control() || matches!(c, '\t' | '\n');
    escape(&text.chars().filter(sayable).collect::<String>())
}

/// What is signed beside method and address. `body_hash`: SHA-1 of the message, base64.
pub fn oauth_params(key: &str, nonce: &str, body_hash: &str, now: Timestamp) -> Params {
    let pairs = [
        ("oauth_consumer_key", key),
        ("oauth_nonce", nonce),
        ("oauth_timestamp", &now.secs().to_string()),
        ("oauth_version", "1.0"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_body_hash", body_hash),
    ];
    Params(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

/// The header that carries them, with their signature.
pub fn authorization(params: &Params, signature: &str) -> String {
    let signature = ("oauth_signature".to_owned(), signature.to_owned());
    let all = params.0.iter().chain([&signature]);
    let all: Vec<String> = all.map(|(n, v)| format!("{n}=\"{}\"", percent_encode(v))).collect();
    format!("OAuth realm=\"\", {}", all.join(", "))
}

/// What the answer means. What counts is in the message: platforms refuse with 200.
pub fn judge(answer: &PlatformAnswer) -> Verdict {
    let Some(major) = element(&answer.body, "imsx_codeMajor") else {
        return match by_status(answer.status, &answer.body) {
            // there is no token in this version, and a wrong secret is told in a message: somebody else stands at the door
            Some(Verdict::Token) => Verdict::later("unauthorized", "the platform answers 401"),
            Some(verdict) => verdict,
            None => Verdict::later("unreadable", "the platform's answer has no imsx_codeMajor"),
        };
    };
    let description = element(&answer.body, "imsx_description").unwrap_or_default();
    let told = format!("the platform says {major}: {}", said(&description));
    match major.as_str() {
        "success" => Verdict::Accepted,
        "failure" if answer.status >= 500 => Verdict::later("platform-failed", told),
        "failure" | "unsupported" => Verdict::refused("refused", told),
        _ => Verdict::later("unreadable", told),
    }
}

/// The text of the first element of that name, whatever its namespace's prefix. Enough of XML for the one flat answer there is.
fn element(xml: &str, name: &str) -> Option<String> {
    for (at, _) in xml.match_indices(name) {
        let opens = xml[..at].rfind('<').map(|open| &xml[open + 1..at]);
        if !opens
            .is_some_and(|prefix| prefix.is_empty() || (prefix.ends_with(':') && !prefix.contains(['/', ' ', '>'])))
        {
            continue;
        }
        let rest = &xml[at + name.len()..];
        if !rest.starts_with(['>', ' ', '\t', '\r', '\n']) {
            continue;
        }
        let text = &rest[rest.find('>')? + 1..];
        let text = text[..text.find('<')?].trim();
        return Some(unescaped(text));
    }
    None
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    plain.replace("&apos;", "'").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `lti-consumer-xblock` 11.4.4 writes it.
    fn open_edx(major: &str, description: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imsx_POXEnvelopeResponse xmlns = \"http://www.imsglobal.org/services/ltiv1p1/xsd/imsoms_v1p0\">\n\
             <imsx_POXHeader><imsx_POXResponseHeaderInfo><imsx_version>V1.0</imsx_version>\
             <imsx_messageIdentifier>1</imsx_messageIdentifier><imsx_statusInfo><imsx_codeMajor>{major}</imsx_codeMajor>\
             <imsx_severity>status</imsx_severity><imsx_description>{description}</imsx_description>\
             <imsx_messageRefIdentifier></imsx_messageRefIdentifier></imsx_statusInfo></imsx_POXResponseHeaderInfo></imsx_POXHeader>\
             <imsx_POXBody><replaceResultResponse/></imsx_POXBody></imsx_POXEnvelopeResponse>"
        )
    }

    fn of(status: u16, body: &str) -> Verdict {
        judge(&PlatformAnswer {
            status,
            body: body.into(),
            retry_after: None,
            next: None,
        })
    }

    #[test]
    fn the_result_is_in_the_message_and_not_in_the_status() {
        assert_eq!(
            of(200, &open_edx("success", "Score for x is now 0.67")),
            Verdict::Accepted
        );
        let due = of(200, &open_edx("failure", "Grade is past due &amp; gone"));
        assert_eq!(
            due,
            Verdict::refused("refused", "the platform says failure: Grade is past due & gone")
        );
        assert!(matches!(
            of(200, &open_edx("unsupported", "no")),
            Verdict::Refused { .. }
        ));
        assert!(matches!(of(500, &open_edx("failure", "db")), Verdict::Later { .. }));
        assert!(matches!(of(200, &open_edx("processing", "")), Verdict::Later { .. }));
        let prefixed = "<p:x xmlns:p='y'><p:imsx_codeMajor a='1'> success </p:imsx_codeMajor></p:x>";
        assert_eq!(of(200, prefixed), Verdict::Accepted);
    }

    #[test]
    fn what_is_no_message_is_judged_by_its_status() {
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (502, "<html>"),
            (404, "<html>"),
            (429, ""),
            (401, ""),
        ] {
            assert!(matches!(of(status, body), Verdict::Later { .. }), "{status} {body}");
        }
        for (status, body) in [(403, "no"), (400, "{}")] {
            assert!(matches!(of(status, body), Verdict::Refused { .. }), "{status} {body}");
        }
        assert!(
            matches!(of(200, "imsx_codeMajor>success<"), Verdict::Later { .. }),
            "no element"
        );
    }

    #[test]
    fn a_message_cannot_be_broken_by_what_is_in_it() {
        let xml = replace_result("m", "a:b&c<d>\"'\u{1}:é", Grade::new(2, 3).unwrap());
        assert!(
            xml.contains("<sourcedId>a:b&amp;c&lt;d&gt;&quot;&#39;:é</sourcedId>"),
            "{xml}"
        );
        assert!(xml.contains("<textString>0.666666</textString>"), "{xml}");
        assert_eq!(element(&xml, "sourcedId").as_deref(), Some("a:b&c<d>\"':é"));
    }

    #[test]
    fn the_header_carries_what_is_signed() {
        let params = oauth_params("k&y", "n", "aGFzaA==", Timestamp::from_secs(7));
        let header = authorization(&params, "s+g=");
        assert_eq!(
            header,
            "OAuth realm=\"\", oauth_consumer_key=\"k%26y\", oauth_nonce=\"n\", oauth_timestamp=\"7\", oauth_version=\"1.0\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_body_hash=\"aGFzaA%3D%3D\", oauth_signature=\"s%2Bg%3D\""
        );
    }
}
