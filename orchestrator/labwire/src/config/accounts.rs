//! What the administration decides: budgets, what machines cost, and who is told.

use super::{Config, Problem, reader::Section};
use lab_core::{
    hours,
    lab::SizeClass,
    metering::{Budget, BudgetOf, RATE_MAX, Rate},
};
use lab_platform::SmtpMail;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use serde_yaml::Value;
use std::time::Duration;

/// Budgets, rates, and who is told.
#[derive(Clone, Debug, Default)]
pub struct AccountsConfig {
    pub budgets: Vec<Budget>,
    pub rates: Vec<Rate>,
    /// What is spent is added up this often; the program's own when not given.
    pub every: Option<Duration>,
    pub webhook: Option<WebhookConfig>,
    pub mail: Option<MailConfig>,
}

/// Where alerts are sent to, by POST.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    pub url: String,
    pub secret: SecretString,
}

/// How alerts are mailed.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// May hold a password.
    pub server: SecretString,
    pub from: String,
    pub to: Vec<String>,
}

/// A short secret is guessed by who has one message: 16 bytes are not.
const SECRET_BYTES_MIN: usize = 16;

const HOURS: &str = "write hours like 200 or 1.5, up to 10000000, that are a whole number of seconds";
const RATE: &str = "write micro-euros a second, a whole number from 0 to 1000000 (an euro an hour is 278)";
const SERVER: &str = "write smtps://user:password@host:465, smtp://host:587?tls=required, or smtp://host:25";

pub(super) fn read(top: &mut Section, problems: &mut Vec<Problem>) -> AccountsConfig {
    let budgets = top.list("budgets", problems);
    let mut read: Vec<Budget> = Vec::new();
    for (at, value) in budgets {
        let Some(budget) = budget(&at, value, problems) else {
            continue;
        };
        if read.iter().any(|b| b.of == budget.of) {
            problems.push(Problem {
                key: at,
                found: "a second budget of the same".into(),
                remedy: "keep one of them".into(),
            });
        }
        read.push(budget);
    }
    let rates = rates(top.section("rate_card", problems), problems);
    let mut alerts = top.section("alerts", problems);
    let every = alerts.parsed("every", None, super::read::DURATION, problems, super::read::duration);
    let webhook = alerts.take("webhook").and_then(|value| webhook(value, problems));
    let mail = alerts.take("mail").and_then(|value| mail(value, problems));
    alerts.close(problems);
    AccountsConfig {
        budgets: read,
        rates,
        every,
        webhook,
        mail,
    }
}

fn text(t: &str) -> Option<String> {
    (!t.is_empty()).then(|| t.to_owned())
}

fn budget(at: &str, value: Value, problems: &mut Vec<Problem>) -> Option<Budget> {
    let mut s = Section::open(at, value, problems);
    let course = s.parsed("course", None, "write the course's id", problems, text);
    let sponsor = s.parsed("sponsor", None, "write the sponsor's id", problems, text);
    let hours = s.parsed("hours", None, HOURS, problems, |n| hours::many(n).ok());
    s.close(problems);
    let of = match (course, sponsor) {
        (Some(course), None) => Some(BudgetOf::Course(course.into())),
        (None, Some(sponsor)) => Some(BudgetOf::Sponsor(sponsor.into())),
        _ => None,
    };
    if of.is_none() || hours.is_none() {
        problems.push(Problem {
            key: at.to_owned(),
            found: "no whole budget".into(),
            remedy: "give it `course` or `sponsor`, one of them, and `hours`".into(),
        });
    }
    Some(Budget {
        of: of?,
        seconds: hours?,
    })
}

fn rates(mut s: Section, problems: &mut Vec<Problem>) -> Vec<Rate> {
    let version = s.parsed("version", None, "name the card, like \"2026-11\"", problems, text);
    let mut rates = Vec::new();
    for size in SizeClass::ALL {
        let rate = s.parsed(size.name(), None, RATE, problems, |n| {
            n.parse::<i64>().ok().filter(|n| (0..=RATE_MAX).contains(n))
        });
        if let Some(micro_eur_per_second) = rate {
            rates.push(Rate {
                version: version.clone().unwrap_or_default(),
                size,
                micro_eur_per_second,
            });
        }
    }
    s.close(problems);
    if version.is_none() && !rates.is_empty() {
        problems.push(Problem {
            key: "rate_card.version".into(),
            found: "nothing".into(),
            remedy: "name the card, like \"2026-11\": each session keeps the name of the one it was counted by".into(),
        });
    }
    rates
}

fn webhook(value: Value, problems: &mut Vec<Problem>) -> Option<WebhookConfig> {
    let mut s = Section::open("alerts.webhook", value, problems);
    let url = s.parsed(
        "url",
        None,
        "write an address like https://example.org/labwire",
        problems,
        |u| (u.starts_with("https://") || u.starts_with("http://")).then(|| u.to_owned()),
    );
    let secret = s.secret("secret", problems);
    s.close(problems);
    let bytes = secret.as_ref().map_or(0, |s| s.expose_secret().len());
    if bytes < SECRET_BYTES_MIN {
        problems.push(Problem {
            key: "alerts.webhook.secret".into(),
            found: format!("{bytes} bytes"),
            remedy: "use at least 16, e.g. from `openssl rand -base64 24`; bodies are signed with it".into(),
        });
    }
    if url.is_none() {
        problems.push(Problem {
            key: "alerts.webhook.url".into(),
            found: "nothing".into(),
            remedy: "write where alerts are sent, or leave webhook out".into(),
        });
    }
    Some(WebhookConfig {
        url: url?,
        secret: secret?,
    })
}

fn mail(value: Value, problems: &mut Vec<Problem>) -> Option<MailConfig> {
    let mut s = Section::open("alerts.mail", value, problems);
    let server = s.secret("server", problems);
    let from = s.parsed("from", None, "write the sender's address", problems, text);
    let mut to = Vec::new();
    for (at, value) in s.list("to", problems) {
        match value.as_str().filter(|a| a.contains('@')) {
            Some(address) => to.push(address.to_owned()),
            None => problems.push(Problem {
                key: at,
                found: super::reader::shown(&value),
                remedy: "write a mail address".into(),
            }),
        }
    }
    s.close(problems);
    let mut missing = |key: &str, remedy: &str| {
        problems.push(Problem {
            key: format!("alerts.mail.{key}"),
            found: "nothing that serves".into(),
            remedy: remedy.to_owned(),
        });
        None
    };
    if to.is_empty() {
        return missing("to", "write who is told, as a list of addresses");
    }
    let Some((server, from)) = server.zip(from) else {
        return missing("server", "give server, from and to");
    };
    if SmtpMail::open(server.expose_secret(), &from).is_err() {
        return missing("server", SERVER);
    }
    Some(MailConfig { server, from, to })
}

/// As the settings are shown.
pub(super) fn shown(config: &Config, value: &mut serde_json::Value) {
    let a = &config.accounts;
    let budget = |b: &Budget| {
        let hours: serde_json::Value = match b.seconds % 3600 {
            0 => (b.seconds / 3600).into(),
            _ => (b.seconds as f64 / 3600.0).into(),
        };
        match &b.of {
            BudgetOf::Course(course) => json!({"course": course, "hours": hours}),
            BudgetOf::Sponsor(sponsor) => json!({"sponsor": sponsor, "hours": hours}),
        }
    };
    value["budgets"] = a.budgets.iter().map(budget).collect();
    if let Some(rate) = a.rates.first() {
        let mut card = json!({"version": rate.version});
        for rate in &a.rates {
            card[rate.size.name()] = rate.micro_eur_per_second.into();
        }
        value["rate_card"] = card;
    }
    let mut alerts = json!({"every": a.every.map(|every| format!("{}s", every.as_secs()))});
    if let Some(webhook) = &a.webhook {
        alerts["webhook"] = json!({"url": webhook.url, "secret": "(set)"});
    }
    if let Some(mail) = &a.mail {
        let server = super::without_password(mail.server.expose_secret());
        alerts["mail"] = json!({"server": server, "from": mail.from, "to": mail.to});
    }
    value["alerts"] = alerts;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(text: &str) -> (AccountsConfig, Vec<Problem>) {
        let mut problems = Vec::new();
        let value = serde_yaml::from_str(text).unwrap();
        let mut top = Section::open("", value, &mut problems);
        let accounts = read(&mut top, &mut problems);
        top.close(&mut problems);
        (accounts, problems)
    }

    #[test]
    fn budgets_rates_and_receivers_are_read() {
        let (accounts, problems) = read_of(
            "budgets: [{course: net, hours: 2}, {sponsor: esp, hours: 2.5}]\n\
             rate_card: {version: '2026-11', small: 14, large: 56}\n\
             alerts:\n  every: 5m\n  webhook: {url: 'https://example.org/x', secret: 0123456789abcdef0}\n  \
             mail: {server: 'smtps://u:hush@mail.example.org:465', from: a@example.org, to: [b@example.org]}\n",
        );
        assert_eq!(problems, []);
        assert_eq!(accounts.budgets[1].of, BudgetOf::Sponsor("esp".into()));
        assert_eq!(accounts.budgets[1].seconds, 9_000);
        assert_eq!(accounts.rates.len(), 2);
        assert_eq!(accounts.every, Some(Duration::from_mins(5)));
        assert!(accounts.webhook.is_some() && accounts.mail.is_some());
    }

    #[test]
    fn everything_that_is_wrong_is_named_and_no_secret_is() {
        let (_, problems) = read_of(
            "budgets: [{course: net, sponsor: esp, hours: 2}, {course: a, hours: 1}, {course: a, hours: 2}, {course: b, hours: none}]\n\
             rate_card: {small: -1, large: 5}\n\
             alerts:\n  webhook: {url: 'ftp://x', secret: hush}\n  mail: {server: 'hush://x', from: a@example.org, to: [b@example.org, nobody]}\n",
        );
        let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
        for key in [
            "budgets[0]",
            "budgets[2]",
            "budgets[3].hours",
            "rate_card.small",
            "rate_card.version",
            "alerts.webhook.url",
            "alerts.webhook.secret",
            "alerts.mail.to[1]",
            "alerts.mail.server",
        ] {
            assert!(keys.contains(&key), "{key} is not in {keys:?}");
        }
        assert!(!format!("{problems:?}").contains("hush"), "{problems:?}");
    }
}
