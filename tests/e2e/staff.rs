//! Staff sign in at an OpenID provider that is not ours (`tests/oidc/provider.mjs`), with everything between real but the browser.

use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, Options, Server, script};
use reqwest::{Method, StatusCode, redirect::Policy};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Where the installation says that it is; the browser knows where that leads.
const PUBLIC: &str = "http://labs.example.org";
/// As `provider.mjs` has it.
const SECRET: &str = "a secret of the client";

/// The provider; gone when dropped.
struct Provider {
    issuer: String,
    process: Child,
}

impl Provider {
    /// `groups_in`: `token`, or `userinfo`, as the standard has it.
    fn start(groups_in: &str) -> Result<Self> {
        let mut process = Command::new("node")
            .arg(script("oidc", &["provider"])?)
            .args([&format!("{PUBLIC}/staff/callback"), groups_in])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = process.stdout.take().context("its output is piped")?;
        // what it warns of (a development set-up) goes before
        let issuer = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("http://"));
        Ok(Self {
            issuer: issuer.context("the provider did not start")?,
            process,
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn server(provider: &Provider) -> Result<Server> {
    let mut options = Options::process();
    options.public_url = Some(PUBLIC.into());
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), SECRET)?;
    options.config = format!(
        "lti: {{private_hosts: [\"127.0.0.1\"]}}\nstaff_login:\n  issuer: {}\n  client_id: labwire\n  client_secret_file: {}\n  roles:\n    \
         - {{group: ens-ospf, role: teacher, course: net}}\n    - {{group: ops, role: operations}}\n    \
         - {{group: acme, role: sponsor, sponsor: acme}}\n",
        provider.issuer,
        secret.path().display()
    );
    Server::start(options).await
}

/// As much of a browser as a sign-in needs: cookies by host, redirects, and the provider's two forms.
struct Browser {
    client: reqwest::Client,
    labwire: String,
    jar: BTreeMap<String, BTreeMap<String, String>>,
}

struct Page {
    url: String,
    status: StatusCode,
    location: Option<String>,
    text: String,
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}

impl Browser {
    fn new(server: &Server) -> Result<Self> {
        Ok(Self {
            client: lab_e2e::http().redirect(Policy::none()).build()?,
            labwire: server.url.clone(),
            jar: BTreeMap::new(),
        })
    }

    async fn ask(&mut self, method: Method, url: &str, form: Option<&str>) -> Result<Page> {
        let cookies = self.jar.entry(host(url)).or_default();
        let line: Vec<String> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let request = self.client.request(method, url.replace(PUBLIC, &self.labwire));
        let mut request = request.header("cookie", line.join("; "));
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned());
        }
        let answer = request.send().await?;
        for set in answer.headers().get_all("set-cookie") {
            let pair = set.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie")?;
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").map(|l| l.to_str()).transpose()?;
        let location = location.map(|l| match l.strip_prefix('/') {
            Some(_) => format!("http://{}{l}", host(url)),
            None => l.to_owned(),
        });
        Ok(Page {
            url: url.to_owned(),
            status: answer.status(),
            location,
            text: answer.text().await?,
        })
    }

    /// Follows redirects, up to one of ours that is not the callback: a page, or the launch.
    async fn follow(&mut self, mut page: Page) -> Result<Page> {
        while let Some(next) = page.location.clone() {
            if next.starts_with(&format!("{PUBLIC}/launch")) {
                return Ok(page);
            }
            page = self.ask(Method::GET, &next, None).await?;
        }
        Ok(page)
    }

    /// To the provider and through its forms, up to where it sends the browser back.
    async fn at_provider(&mut self, login: &str) -> Result<Page> {
        let page = self.ask(Method::GET, &format!("{PUBLIC}/staff/login"), None).await?;
        let mut page = page;
        loop {
            while let Some(next) = page.location.clone() {
                if next.starts_with(PUBLIC) {
                    return Ok(page);
                }
                page = self.ask(Method::GET, &next, None).await?;
            }
            ensure!(
                page.status == StatusCode::OK,
                "{} {}: {}",
                page.url,
                page.status,
                page.text
            );
            let form = if page.text.contains("value=\"login\"") {
                format!("prompt=login&login={}&password=x", login.replace('+', "%2B"))
            } else {
                "prompt=consent".to_owned()
            };
            let action = page
                .text
                .split_once("action=\"")
                .and_then(|(_, rest)| rest.split('"').next());
            let action = action.context("the provider's page has a form")?;
            let action = match action.strip_prefix('/') {
                Some(_) => format!("http://{}{action}", host(&page.url)),
                None => action.to_owned(),
            };
            page = self.ask(Method::POST, &action, Some(&form)).await?;
        }
    }

    async fn sign_in(&mut self, login: &str) -> Result<Page> {
        let back = self.at_provider(login).await?;
        self.follow(back).await
    }
}

fn token(page: &Page) -> Result<String> {
    let location = page.location.as_deref().with_context(|| page.text.clone())?;
    let token = location
        .strip_prefix(&format!("{PUBLIC}/launch?token="))
        .context("a launch")?;
    Ok(token.to_owned())
}

#[tokio::test]
async fn a_teacher_signs_in_at_a_real_provider_and_gets_the_wall_of_their_course() -> Result<()> {
    for groups_in in ["userinfo", "token"] {
        let provider = Provider::start(groups_in)?;
        let server = server(&provider).await?;
        let page = Browser::new(&server)?.sign_in("curie+physics+ens-ospf").await?;
        let token = token(&page)?;
        let api = Api::launch(&server.url, &token).await?;
        let of = |field: &str| api.login[field].as_str().unwrap_or_default().to_owned();
        ensure!(
            (of("role"), of("course"), of("name")) == ("teacher".into(), "net".into(), "Prof. curie".into()),
            "{}",
            api.login
        );
        let wall = serde_json::json!({"scope": "wall", "course": "net"});
        api.post("/tickets", &wall).await.context("the wall is theirs")?;
        let other = serde_json::json!({"scope": "wall", "course": "web"});
        ensure!(api.post("/tickets", &other).await.is_err(), "another course's is not");
        ensure!(api.get("/operations").await.is_err(), "nor what operations see");
        ensure!(Api::launch(&server.url, &token).await.is_err(), "the link counts once");
    }
    Ok(())
}

#[tokio::test]
async fn who_has_no_group_that_counts_is_told_so_and_gets_nothing() -> Result<()> {
    let provider = Provider::start("userinfo")?;
    let server = server(&provider).await?;
    for (login, seen) in [
        ("mallory+students+ENS-OSPF", "<code>ENS-OSPF</code>"),
        ("nobody", "staff_login.groups_claim"),
    ] {
        let page = Browser::new(&server)?.sign_in(login).await?;
        ensure!(page.status == StatusCode::FORBIDDEN, "{} {}", page.status, page.text);
        for text in [
            seen,
            "staff-no-role",
            "staff_login.roles",
            "vous n’avez pas de rôle ici",
            "have no role here",
        ] {
            ensure!(page.text.contains(text), "{text} is not in {}", page.text);
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_counts_once_in_the_browser_that_asked() -> Result<()> {
    let provider = Provider::start("userinfo")?;
    let server = server(&provider).await?;
    let mut browser = Browser::new(&server)?;
    let back = browser.at_provider("curie+ens-ospf").await?;
    let callback = back.location.clone().context("back to us")?;
    let stolen = Browser::new(&server)?.ask(Method::GET, &callback, None).await?;
    ensure!(
        stolen.status == StatusCode::BAD_REQUEST && stolen.text.contains("staff-other-browser"),
        "{}",
        stolen.text
    );
    let arrived = browser.ask(Method::GET, &callback, None).await?;
    token(&arrived).context("a thief's try spoils nothing")?;
    let again = browser.ask(Method::GET, &callback, None).await?;
    ensure!(
        again.status == StatusCode::BAD_REQUEST && again.text.contains("staff-state-used"),
        "{}",
        again.text
    );
    // a sign-in that was refused there comes back with an error
    let begun = browser.ask(Method::GET, &format!("{PUBLIC}/staff/login"), None).await?;
    let to = begun.location.context("to the provider")?;
    let state = to
        .split("state=")
        .nth(1)
        .and_then(|s| s.split('&').next())
        .context("a state")?;
    let refused = format!("{PUBLIC}/staff/callback?error=access_denied&state={state}");
    let refused = browser.ask(Method::GET, &refused, None).await?;
    ensure!(refused.text.contains("staff-provider-refused"), "{}", refused.text);
    // and a code that the provider never gave is refused by the provider
    let begun = browser.ask(Method::GET, &format!("{PUBLIC}/staff/login"), None).await?;
    let to = begun.location.context("to the provider")?;
    let state = to
        .split("state=")
        .nth(1)
        .and_then(|s| s.split('&').next())
        .context("a state")?;
    let made_up = format!("{PUBLIC}/staff/callback?code=made-up&state={state}");
    let made_up = browser.ask(Method::GET, &made_up, None).await?;
    ensure!(made_up.text.contains("staff-code-refused"), "{}", made_up.text);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_page() -> Result<()> {
    let provider = Provider::start("userinfo")?;
    let server = server(&provider).await?;
    drop(provider);
    let page = Browser::new(&server)?
        .ask(Method::GET, &format!("{PUBLIC}/staff/login"), None)
        .await?;
    ensure!(
        page.status == StatusCode::SERVICE_UNAVAILABLE,
        "{} {}",
        page.status,
        page.text
    );
    ensure!(page.text.contains("staff-provider-unreachable"), "{}", page.text);
    Ok(())
}
