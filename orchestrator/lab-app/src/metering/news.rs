//! An alert in words, and as a signed body.

use crate::Settings;
use hmac::{Hmac, KeyInit, Mac};
use lab_core::{
    Timestamp,
    metering::{Alert, AlertOf},
    port::MailMessage,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The same for the same alert, however often it is sent.
pub(super) fn id(alert: &Alert) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, alert.key().as_bytes())
        .simple()
        .to_string()
}

/// What a webhook gets.
pub(super) fn body(alert: &Alert, installation: &str) -> String {
    let mut value = serde_json::to_value(&alert.of).expect("plain data is JSON");
    let rest = serde_json::json!({
        "id": id(alert),
        "installation": installation,
        "percent": alert.percent,
        "basis_seconds": alert.basis,
        "spent_seconds": alert.spent,
        "raised_at": alert.at.to_string(),
    });
    if let (Some(all), serde_json::Value::Object(rest)) = (value.as_object_mut(), rest) {
        all.extend(rest);
    }
    value.to_string()
}

/// `t=<Unix seconds>,v1=<hex of HMAC-SHA256 over "<seconds>.<body>">`: who checks the time too cannot be sent yesterday's again.
pub(super) fn signature(secret: &SecretString, at: Timestamp, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes any key");
    mac.update(format!("{}.{body}", at.secs()).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("t={},v1={hex}", at.secs())
}

/// What is mailed, in both languages.
pub(super) fn mail(alert: &Alert, settings: &Settings) -> MailMessage {
    let [english, french] = sentences(alert);
    let link = format!("{}/operations#accounts", settings.public_url);
    MailMessage {
        to: settings.alerts.mail_to.clone(),
        subject: one_line(&format!("[{}] {english}", settings.installation)),
        text: format!("{english}\n{french}\n\n{link}\n"),
        id: id(alert),
    }
}

fn sentences(alert: &Alert) -> [String; 2] {
    let (percent, spent, basis) = (alert.percent, hours(alert.spent), hours(alert.basis));
    match &alert.of {
        AlertOf::Learner { subject, course } => [
            format!("{subject} has used {percent} % of their lab time in {course}: {spent} of {basis} h"),
            format!("{subject} a utilisé {percent} % de son temps de TP dans {course} : {spent} h sur {basis}"),
        ],
        AlertOf::Course { course } => [
            format!("The course {course} has used {percent} % of its budget: {spent} of {basis} h"),
            format!("Le cours {course} a utilisé {percent} % de son budget : {spent} h sur {basis}"),
        ],
        AlertOf::Sponsor { sponsor } => [
            format!("{percent} % of the budget of {sponsor} is used: {spent} of {basis} h"),
            format!("{percent} % du budget de {sponsor} est utilisé : {spent} h sur {basis}"),
        ],
        AlertOf::Ledger => [
            format!(
                "{} seconds of the ledger are not accounted for; keep a copy of the database",
                alert.spent
            ),
            format!(
                "{} secondes du registre ne sont pas justifiées ; gardez une copie de la base",
                alert.spent
            ),
        ],
    }
}

/// Hours with one digit, rounded down: nobody is told of more than there was.
fn hours(secs: i64) -> String {
    format!("{}.{}", secs / 3600, secs % 3600 / 360)
}

/// Names come from learning platforms.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(subject: &str) -> Alert {
        Alert {
            of: AlertOf::Learner {
                subject: subject.into(),
                course: "net".into(),
            },
            percent: 80,
            basis: 36_000,
            spent: 29_000,
            at: Timestamp::from_secs(1_800_000_000),
        }
    }

    #[test]
    fn a_body_is_signed_as_documented() {
        // computed with another implementation: printf '1800000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of the test'
        let signed = signature(
            &"a secret of the test".to_owned().into(),
            Timestamp::from_secs(1_800_000_000),
            "{\"a\":1}",
        );
        assert_eq!(
            signed,
            "t=1800000000,v1=8045ecdf1c4e705187bf5a6e7a669e07b7141c74e089a959b2b9563d91e6e99c"
        );
    }

    #[test]
    fn a_name_adds_no_header_to_a_mail() {
        let message = mail(&alert("ada\r\nBcc: all@example.org"), &Settings::default());
        assert!(!message.subject.contains(['\r', '\n']), "{}", message.subject);
        assert!(message.text.contains("80 %") && message.text.contains("8.0"));
    }

    #[test]
    fn a_body_says_of_what_and_how_much_and_bears_the_same_id_each_time() {
        let body: serde_json::Value = serde_json::from_str(&body(&alert("ada"), "lab")).unwrap();
        assert_eq!(body["of"], "learner");
        assert_eq!(body["subject"], "ada");
        assert_eq!(body["spent_seconds"], 29_000);
        assert_eq!(body["id"], id(&alert("ada")));
        assert_ne!(id(&alert("ada")), id(&alert("bob")));
    }
}
