//! Open edX's own consumer as a platform (`tests/lti/open_edx.py`), and a browser that launches from it.

use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, Server, repository, script};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// As `open_edx.py` has them.
pub const CLIENT: &str = "6f1c8c5e-3c33-4f0e-9f5a-1b1c5f2b7a10";
pub const KEY: &str = "fun";
pub const SECRET: &str = "0123456789abcdef & accentué";

/// The platform; gone when dropped.
pub struct OpenEdx {
    pub url: String,
    lab: String,
    process: Child,
}

impl OpenEdx {
    /// Starts it, with a block that launches `lab` of the tool at `tool`.
    pub fn start(tool: &str, lab: &str) -> Result<Self> {
        let python = script("open-edx", &["python"])?;
        let mut process = Command::new(python)
            .arg(repository().join("tests/lti/open_edx.py"))
            .args([tool, lab])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = process.stdout.take().context("its output is piped")?;
        let mut url = String::new();
        BufReader::new(out).read_line(&mut url)?;
        let platform = Self {
            url: url.trim().to_owned(),
            lab: lab.to_owned(),
            process,
        };
        ensure!(!platform.url.is_empty(), "the platform did not start");
        Ok(platform)
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String> {
        let request = lab_e2e::client().get(format!("{}{path}", self.url)).query(query);
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "Open edX refuses {path}: {text}");
        Ok(text)
    }

    /// Registers it by LTI 1.3; what `labwire lti add` prints.
    pub async fn register(&self, server: &Server) -> Result<String> {
        let url = |path: &str| format!("{}{path}", self.url);
        let token_url = self.get("/token_url", &[]).await?;
        server.cli(&[
            "lti",
            "add",
            "edx",
            "--issuer",
            &self.url,
            "--client-id",
            CLIENT,
            "--auth-url",
            &url("/auth"),
            "--token-url",
            &token_url,
            "--jwks-url",
            &url("/keys"),
            "--deployment",
            "1",
            "--plan",
            "QUALIFYING",
            "--lab",
            &self.lab,
        ])
    }
}

impl Drop for OpenEdx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Registers its key of LTI 1.1, with launches of the course `net`.
pub fn register_key(server: &Server) -> Result<()> {
    let secret = server.data_dir()?.join("secret");
    std::fs::write(&secret, SECRET)?;
    let secret = secret.display().to_string();
    let known = ["lti", "add", "fun", "--key", KEY, "--secret-file", &secret];
    server.cli(&[&known[..], &["--plan", "QUALIFYING", "--course", "net"]].concat())?;
    Ok(())
}

/// A browser that stops at every redirect, so that the test sees where it leads.
pub fn browser() -> Result<reqwest::Client> {
    Ok(lab_e2e::http().redirect(reqwest::redirect::Policy::none()).build()?)
}

pub fn location(answer: &reqwest::Response) -> Result<String> {
    let location = answer.headers().get("location").context("it leads nowhere")?;
    Ok(location.to_str()?.to_owned())
}

/// A form that a platform's page has the browser post, with what goes with it.
pub struct Post {
    pub url: String,
    pub origin: String,
    pub body: String,
}

impl Post {
    pub fn request(&self, browser: &reqwest::Client) -> reqwest::RequestBuilder {
        browser
            .post(&self.url)
            .header("origin", &self.origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(self.body.clone())
    }
}

/// Begins a launch by LTI 1.3 and lets the platform answer: the browser's cookie, and what it posts.
pub async fn begun(edx: &OpenEdx, browser: &reqwest::Client, user: &str) -> Result<(String, Post)> {
    begun_with(edx, browser, &[("user", user)]).await
}

/// The same of another kind: see `/begin` of `open_edx.py`.
pub async fn begun_with(edx: &OpenEdx, browser: &reqwest::Client, how: &[(&str, &str)]) -> Result<(String, Post)> {
    let begun = browser.get(edx.get("/begin", how).await?).send().await?;
    let cookie = begun.headers().get("set-cookie").context("no cookie")?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let form: Value = serde_json::from_str(&lab_e2e::client().get(location(&begun)?).send().await?.text().await?)?;
    let fields = [("state", &form["state"]), ("id_token", &form["id_token"])];
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let post = Post {
        url: form["redirect_uri"].as_str().unwrap_or_default().to_owned(),
        origin: edx.url.clone(),
        body: fields.join("&"),
    };
    Ok((cookie, post))
}

/// A whole launch by LTI 1.3: the tab, and who is signed in there.
pub async fn launch(server: &Server, edx: &OpenEdx, user: &str) -> Result<(Api, Value)> {
    let browser = browser()?;
    let (cookie, post) = begun(edx, &browser, user).await?;
    signed_in(server, post.request(&browser).header("cookie", cookie).send().await?).await
}

/// A whole launch by LTI 1.1.
pub async fn launch_by_form(server: &Server, edx: &OpenEdx, user: &str) -> Result<(Api, Value)> {
    let url = format!("{}/lti/labs/{}", server.url, edx.lab);
    let post = Post {
        body: edx.get("/form", &[("url", &url), ("user", user)]).await?,
        origin: edx.url.clone(),
        url,
    };
    signed_in(server, post.request(&browser()?).send().await?).await
}

/// The tab that a launch's link signs in, and who that is.
pub async fn signed_in(server: &Server, answer: reqwest::Response) -> Result<(Api, Value)> {
    let status = answer.status();
    let Ok(link) = location(&answer) else {
        anyhow::bail!("refused ({status}): {}", answer.text().await?);
    };
    let token = link.strip_prefix("/launch?token=").context(link.clone())?;
    let api = Api::launch(&server.url, token).await?;
    let me = api.get("/me").await?;
    Ok((api, me))
}
