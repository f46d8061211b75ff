//! Open edX's own consumer launches labs of the real binary.

use super::edx::{KEY, OpenEdx, SECRET, begun, browser, register_key, signed_in};
use anyhow::{Result, ensure};
use lab_e2e::{Options, Server};
use serde_json::json;

const LAB: &str = "shell";

/// A server that may ask platforms on this machine.
async fn server() -> Result<Server> {
    let mut options = Options::process();
    options.config.push_str("lti: {private_hosts: [\"127.0.0.1\"]}\n");
    Server::start(options).await
}

#[tokio::test]
async fn open_edx_launches_a_lab_by_lti_1_3() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    let add = edx.register(&server).await?;
    ensure!(
        add.contains("/lti/login") && add.contains("/lti/jwks"),
        "what to paste: {add}"
    );
    let browser = browser()?;
    let (cookie, post) = begun(&edx, &browser, "ada").await?;
    let without = post.request(&browser).send().await?.text().await?;
    ensure!(
        without.contains("target=\"_blank\""),
        "a browser without its cookie: {without}"
    );
    let answer = post.request(&browser).header("cookie", &cookie).send().await?;
    let (api, me) = signed_in(&server, answer).await?;
    ensure!(me["role"] == "learner" && me["lab"] == LAB, "{me}");
    api.start(LAB).await?;

    let replayed = post.request(&browser).header("cookie", &cookie).send().await?;
    let replayed = replayed.text().await?;
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
    let edx = OpenEdx::start(&server.url, LAB)?;
    register_key(&server)?;
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
