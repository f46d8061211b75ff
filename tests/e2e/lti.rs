//! Open edX's own consumer launches labs of the real binary.

use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, Options, Server, repository, script};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// As `open_edx.py` has them.
const CLIENT: &str = "6f1c8c5e-3c33-4f0e-9f5a-1b1c5f2b7a10";
const KEY: &str = "fun";
const SECRET: &str = "0123456789abcdef & accentué";
const LAB: &str = "shell";

/// The platform; gone when dropped.
struct OpenEdx {
    url: String,
    process: Child,
}

impl OpenEdx {
    fn start(tool: &str) -> Result<Self> {
        let python = script("open-edx", &["python"])?;
        let mut process = Command::new(python)
            .arg(repository().join("tests/lti/open_edx.py"))
            .args([tool, LAB])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = process.stdout.take().context("its output is piped")?;
        let mut url = String::new();
        BufReader::new(out).read_line(&mut url)?;
        let platform = Self {
            url: url.trim().to_owned(),
            process,
        };
        ensure!(!platform.url.is_empty(), "the platform did not start");
        Ok(platform)
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String> {
        let request = lab_e2e::client().get(format!("{}{path}", self.url)).query(query);
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "Open edX refuses {path}: {text}");
        Ok(text)
    }
}

impl Drop for OpenEdx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that may ask platforms on this machine.
async fn server() -> Result<Server> {
    let mut options = Options::process();
    options.config.push_str("lti: {private_hosts: [\"127.0.0.1\"]}\n");
    Server::start(options).await
}

/// A browser that stops at every redirect, so that the test sees where it leads.
fn browser() -> Result<reqwest::Client> {
    Ok(lab_e2e::http().redirect(reqwest::redirect::Policy::none()).build()?)
}

fn location(answer: &reqwest::Response) -> Result<String> {
    let location = answer.headers().get("location").context("it leads nowhere")?;
    Ok(location.to_str()?.to_owned())
}

/// The tab that a launch's link signs in, and who that is.
async fn signed_in(server: &Server, answer: reqwest::Response) -> Result<(Api, Value)> {
    let status = answer.status();
    let Ok(link) = location(&answer) else {
        anyhow::bail!("refused ({status}): {}", answer.text().await?);
    };
    let token = link.strip_prefix("/launch?token=").context(link.clone())?;
    let api = Api::launch(&server.url, token).await?;
    let me = api.get("/me").await?;
    Ok((api, me))
}

#[tokio::test]
async fn open_edx_launches_a_lab_by_lti_1_3() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url)?;
    let url = |path: &str| format!("{}{path}", edx.url);
    let add = server.cli(&[
        "lti",
        "add",
        "edx",
        "--issuer",
        &edx.url,
        "--client-id",
        CLIENT,
        "--auth-url",
        &url("/auth"),
        "--token-url",
        &url("/token"),
        "--jwks-url",
        &url("/keys"),
        "--deployment",
        "1",
        "--plan",
        "QUALIFYING",
        "--lab",
        LAB,
    ])?;
    ensure!(
        add.contains("/lti/login") && add.contains("/lti/jwks"),
        "what to paste: {add}"
    );
    let browser = browser()?;

    let begun = browser.get(edx.get("/begin", &[]).await?).send().await?;
    let cookie = begun.headers().get("set-cookie").context("no cookie")?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let form: Value = serde_json::from_str(&lab_e2e::client().get(location(&begun)?).send().await?.text().await?)?;
    let fields = [("state", &form["state"]), ("id_token", &form["id_token"])];
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let post = || {
        browser
            .post(form["redirect_uri"].as_str().unwrap_or_default())
            .header("origin", &edx.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(fields.join("&"))
    };
    let without = post().send().await?.text().await?;
    ensure!(
        without.contains("target=\"_blank\""),
        "a browser without its cookie: {without}"
    );
    let (api, me) = signed_in(&server, post().header("cookie", &cookie).send().await?).await?;
    ensure!(me["role"] == "learner" && me["lab"] == LAB, "{me}");
    api.start(LAB).await?;

    let replayed = post().header("cookie", &cookie).send().await?.text().await?;
    ensure!(replayed.contains("lti-state-used"), "{replayed}");
    let explained = server.cli(&["lti", "test", "edx"])?;
    ensure!(
        explained.contains("FAILED   1") && explained.contains("lti-state-used"),
        "{explained}"
    );
    server.finish().await
}

#[tokio::test]
async fn open_edx_launches_a_lab_by_lti_1_1() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url)?;
    let secret = server.data_dir()?.join("secret");
    std::fs::write(&secret, SECRET)?;
    let secret = secret.display().to_string();
    server.cli(&[
        "lti",
        "add",
        "fun",
        "--key",
        KEY,
        "--secret-file",
        &secret,
        "--plan",
        "QUALIFYING",
        "--course",
        "net",
    ])?;
    let browser = browser()?;
    for path in ["/lti/labs/shell", "/lti/labs/shell?x=%C3%A9&y="] {
        let url = format!("{}{path}", server.url);
        let form = edx.get("/form", &[("url", &url)]).await?;
        let post = || {
            browser
                .post(&url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.clone())
        };
        let (api, me) = signed_in(&server, post().send().await?).await?;
        ensure!(me["role"] == "learner" && me["course"] == "net", "{me}");
        api.start(LAB).await?;
        let replayed = post().send().await?.text().await?;
        ensure!(replayed.contains("lti-oauth-nonce"), "{replayed}");
    }
    ensure!(server.cli(&["lti", "ls"])?.contains(KEY));
    let shown = server.cli(&["lti", "ls", "fun"])?;
    ensure!(!shown.contains(SECRET), "a secret is shown once, when it is made");
    ensure!(server.cli(&["lti", "keys"])?.contains("signs"));
    ensure!(json!(server.cli(&["lti", "test"])?).to_string().contains("nonce"));
    server.finish().await
}
