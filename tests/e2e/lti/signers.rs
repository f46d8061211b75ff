//! Launches by LTI 1.1 that others signed: `lti` and `oauthlib` (`tests/lti/signers.py`), with what platforms are known to send.

use super::edx::{KEY, SECRET, browser, register_key, signed_in};
use anyhow::{Context, Result, ensure};
use lab_e2e::{Options, Server, repository, script};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

const SIGNERS: [&str; 2] = ["lti", "oauthlib"];

/// Where people reach the server of these tests: a proxy in front of it has the name and the scheme's own port.
const PUBLIC: &str = "http://labs.example.org";

async fn server() -> Result<Server> {
    let mut options = Options::process();
    options.public_url = Some(PUBLIC.into());
    let server = Server::start(options).await?;
    register_key(&server)?;
    Ok(server)
}

/// The form's text as `signer` signs it.
fn signed(signer: &str, url: &str, secret: &str, form: &Value) -> Result<String> {
    let mut python = Command::new(script("open-edx", &["python"])?)
        .arg(repository().join("tests/lti/signers.py"))
        .args([signer, url, KEY, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = python.stdin.take().context("its input is piped")?;
    input.write_all(form.to_string().as_bytes())?;
    drop(input);
    let out = python.wait_with_output()?;
    ensure!(
        out.status.success(),
        "{signer} did not sign: see its standard error above"
    );
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

fn form(user: &str) -> Value {
    json!({
        "resource_link_id": "lms.example.org-7a",
        "resource_link_title": "Routage & «états» : 100 % = a+b",
        "context_id": "course-v1:IMT+NET+2026",
        "context_title": "Réseaux, l'été — 日本",
        "user_id": user,
        "roles": "Student",
        "lis_person_name_full": "Zoë Müller-Côté",
        "lis_outcome_service_url": "",
        "launch_presentation_locale": "fr",
        "custom_note": "a+b=c & é ~ *",
        "custom_empty": "",
    })
}

/// The launch as a browser posts it, to where the server listens.
async fn posted(server: &Server, target: &str, body: &str) -> Result<reqwest::Response> {
    let request = browser()?
        .post(format!("{}{target}", server.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    Ok(request.send().await?)
}

#[tokio::test]
async fn other_signers_launch_with_accents_empty_values_queries_default_ports_and_hosts_in_capitals() -> Result<()> {
    let server = server().await?;
    let targets = [
        (PUBLIC, "/lti/labs/shell"),
        (PUBLIC, "/lti/labs/shell?x=%C3%A9&y=&z=a%20b&z=a+b"),
        ("http://labs.example.org:80", "/lti/labs/shell"),
        ("http://LABS.Example.org", "/lti/labs/shell?b=2&a=1"),
    ];
    for signer in SIGNERS {
        for (n, (base, target)) in targets.iter().enumerate() {
            let user = format!("{signer}-{n}");
            let body = signed(signer, &format!("{base}{target}"), SECRET, &form(&user))?;
            let answer = posted(&server, target, &body).await?;
            let (_, me) = signed_in(&server, answer)
                .await
                .with_context(|| format!("{signer} for {base}{target}"))?;
            ensure!(
                me["role"] == "learner" && me["lab"] == "shell" && me["course"] == "net",
                "{me}"
            );
            ensure!(me["name"] == "Zoë Müller-Côté", "{me}");
            let replayed = posted(&server, target, &body).await?.text().await?;
            ensure!(replayed.contains("lti-oauth-nonce"), "{replayed}");
        }
    }
    server.finish().await
}

#[tokio::test]
async fn what_was_changed_after_another_signer_signed_it_is_refused() -> Result<()> {
    let server = server().await?;
    let target = "/lti/labs/shell?x=1";
    let url = format!("{PUBLIC}{target}");
    for signer in SIGNERS {
        let body = signed(signer, &url, SECRET, &form("eve"))?;
        let wrong = [
            (
                "another role",
                target,
                body.replace("roles=Student", "roles=Instructor"),
            ),
            ("one field more", target, format!("{body}&custom_more=1")),
            ("another query", "/lti/labs/shell?x=2", body.clone()),
            ("another secret", target, signed(signer, &url, "guessed", &form("eve"))?),
            (
                "another host",
                target,
                signed(
                    signer,
                    &format!("http://labs.example.com{target}"),
                    SECRET,
                    &form("eve"),
                )?,
            ),
        ];
        for (what, target, body) in wrong {
            let answer = posted(&server, target, &body).await?;
            let (status, page) = (answer.status(), answer.text().await?);
            ensure!(status.is_client_error(), "{signer}, {what}: {status}");
            ensure!(page.contains("lti-oauth-signature"), "{signer}, {what}: {page}");
        }
    }
    server.finish().await
}
