//! A teacher of Open edX chooses a lab of the real binary, and its own consumer verifies and keeps the choice.

use super::edx::{OpenEdx, Post, begun_with, browser, signed_in};
use anyhow::{Context, Result, ensure};
use lab_e2e::{Options, Server};
use serde_json::Value;

/// What the block launches, and what is chosen instead.
const BLOCK: &str = "shell";
const CHOSEN: &str = "graded";

async fn server() -> Result<Server> {
    let mut options = Options::process();
    options.labs.extend(Options::graded().labs);
    options.config.push_str("lti: {private_hosts: [\"127.0.0.1\"]}\n");
    Server::start(options).await
}

/// The page that a request to choose ends in.
async fn asked(edx: &OpenEdx, user: &str) -> Result<String> {
    let browser = browser()?;
    let (cookie, post) = begun_with(edx, &browser, &[("user", user), ("choose", "1")]).await?;
    Ok(post
        .request(&browser)
        .header("cookie", cookie)
        .send()
        .await?
        .text()
        .await?)
}

fn field<'a>(page: &'a str, before: &str) -> Result<&'a str> {
    let rest = page.split(before).nth(1).with_context(|| format!("{before}: {page}"))?;
    rest.split('"').next().context("a value")
}

/// Sends the page with `choice`, and its answer on to the platform, as a browser does; what the platform says.
async fn chosen(server: &Server, page: &str, choice: &str) -> Result<String> {
    let sent = Post {
        url: format!("{}/lti/choose", server.url),
        origin: server.url.clone(),
        body: format!("choice={}&{choice}", field(page, "name=\"choice\" value=\"")?),
    };
    let page = sent.request(&browser()?).send().await?.text().await?;
    let answer = Post {
        url: field(&page, "action=\"")?.replace("&amp;", "&"),
        origin: server.url.clone(),
        body: format!("JWT={}", field(&page, "name=\"JWT\" value=\"")?),
    };
    let kept = answer.request(&browser()?).send().await?;
    let (status, text) = (kept.status(), kept.text().await?);
    ensure!(status.is_success(), "Open edX refuses the choice ({status}): {text}");
    Ok(text)
}

async fn items(edx: &OpenEdx) -> Result<Value> {
    Ok(serde_json::from_str(&edx.get("/items", &[]).await?)?)
}

#[tokio::test]
async fn open_edx_keeps_the_lab_that_a_teacher_chose_and_launches_it() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, BLOCK)?;
    edx.register(&server).await?;

    let learner = asked(&edx, "ada").await?;
    ensure!(learner.contains("lti-choice-not-staff"), "{learner}");
    let page = asked(&edx, "staff-zoe").await?;
    ensure!(page.contains(&format!("value=\"{CHOSEN}\"")), "{page}");
    chosen(&server, &page, &format!("lang=fr&column=1&lab={CHOSEN}")).await?;
    let kept = items(&edx).await?;
    let url = format!("{}/lti/labs/{CHOSEN}", server.url);
    ensure!(
        kept[0]["url"] == url.as_str() && kept[0]["custom"]["lab"] == CHOSEN,
        "{kept}"
    );
    ensure!(
        kept[0]["lineItem"]["resourceId"] == CHOSEN && kept[0]["lineItem"]["scoreMaximum"] == 3.0,
        "{kept}"
    );

    // a learner opens the block: Open edX begins with the block's address and signs the chosen one
    let browser = browser()?;
    let (cookie, post) = begun_with(&edx, &browser, &[("user", "ada"), ("item", "0")]).await?;
    let answer = post.request(&browser).header("cookie", &cookie).send().await?;
    let (_, me) = signed_in(&server, answer).await?;
    ensure!(me["role"] == "learner" && me["lab"] == CHOSEN, "{me}");

    let page = asked(&edx, "staff-zoe").await?;
    chosen(&server, &page, "cancel=1").await?;
    ensure!(
        items(&edx).await? == serde_json::json!([]),
        "a choice that was given up"
    );
    server.finish().await
}
