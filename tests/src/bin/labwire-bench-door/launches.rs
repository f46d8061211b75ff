//! Launches by LTI 1.1: forms as a platform signs them, each with a nonce of its own.

use crate::place::Place;
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use lab_core::launch::lti::{OauthRequest, Params, percent_encode};
use lab_e2e::{Api, Must, Report, percentile};
use ring::hmac;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const KEY: &str = "bench";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const LAUNCHES: usize = 300;

/// Registers the platform that [`launch`] stands for.
pub fn register(place: &Place) -> Result<()> {
    let secret = place.server.data_dir()?.join("lti-secret");
    std::fs::write(&secret, SECRET)?;
    let secret = secret.display().to_string();
    let add = [
        "lti",
        "add",
        KEY,
        "--key",
        KEY,
        "--secret-file",
        &secret,
        "--plan",
        "QUALIFYING",
        "--course",
        "net",
    ];
    place.server.cli(&add).map(drop)
}

fn form(url: &str, user: usize) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
    let (user, nonce) = (format!("user-{user}"), uuid::Uuid::new_v4().to_string());
    let fields = [
        ("lti_message_type", "basic-lti-launch-request"),
        ("lti_version", "LTI-1p0"),
        ("resource_link_id", "block-1"),
        ("context_id", "course-1"),
        ("user_id", &user),
        ("roles", "Learner"),
        ("oauth_consumer_key", KEY),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_version", "1.0"),
        ("oauth_timestamp", &now),
        ("oauth_nonce", &nonce),
    ];
    let mut params = Params(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    let request = OauthRequest {
        method: "POST",
        url,
        params: &params,
    };
    let text = request.base_string().context("an address")?;
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        OauthRequest::key(SECRET).as_bytes(),
    );
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    params.0.push(("oauth_signature".into(), signature));
    let pairs = params
        .0
        .iter()
        .map(|(n, v)| format!("{}={}", percent_encode(n), percent_encode(v)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// From the platform's form to a tab that is signed in.
pub async fn launch(browser: &reqwest::Client, base: &str, user: usize) -> Result<Api> {
    let url = format!("{base}/lti/labs/shell");
    let request = browser
        .post(&url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(&url, user)?);
    let answer = request.send().await?;
    let status = answer.status();
    let location = answer
        .headers()
        .get("location")
        .and_then(|l| l.to_str().ok())
        .map(str::to_owned);
    let token = location.as_deref().and_then(|l| l.strip_prefix("/launch?token="));
    Api::launch(base, token.with_context(|| format!("refused: {status}"))?).await
}

/// A browser that stops at redirects.
pub fn browser() -> Result<reqwest::Client> {
    Ok(lab_e2e::http().redirect(reqwest::redirect::Policy::none()).build()?)
}

pub async fn lti(report: &mut Report) -> Result<()> {
    let place = Place::open("").await?;
    register(&place)?;
    let browser = browser()?;
    let mut samples = Vec::with_capacity(LAUNCHES);
    for user in 0..LAUNCHES {
        let start = Instant::now();
        let api = launch(&browser, &place.server.url, user).await?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(api.login["role"] == "learner", "{}", api.login);
    }
    let p95 = percentile(&samples, 95.0);
    report.add("lti_launch_p95_ms", p95, "ms", Must::AtMost(150.0), &samples)?;
    place.close().await
}
