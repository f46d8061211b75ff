//! What an administration sees of the ledger: statements, alerts by real mail and HTTP, costs, the day's reconciliation.

use anyhow::{Context, Result, ensure};
use lab_e2e::{
    Api, Hook, Options, Pace, Receiver, Server, Tab, database, drop_database, eventually, repository, script,
};
use ring::hmac;
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const SECRET: &str = "a secret of the webhook";
const WITHIN: Duration = Duration::from_secs(60);
const PERIOD: [&str; 4] = ["--from", "2020-01-01", "--to", "2100-01-01"];

/// A mail server; gone when dropped.
struct Mailbox {
    port: String,
    out: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Mailbox {
    /// Refuses the first `refusals` messages for now.
    async fn start(refusals: usize) -> Result<Self> {
        let mut process = Command::new(script("smtp", &["python"])?)
            .arg(repository().join("tests/mail/sink.py"))
            .arg(refusals.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut out = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
        let port = out.next_line().await?.context("the mail server did not start")?;
        Ok(Self {
            port,
            out,
            _process: process,
        })
    }

    async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(WITHIN, self.out.next_line())
            .await
            .context("no mail came")??;
        Ok(serde_json::from_str(&line.context("the mail server is gone")?)?)
    }
}

fn signed(hook: &Hook) -> Result<()> {
    let signature = &hook.headers["labwire-signature"];
    let (time, hex) = signature
        .strip_prefix("t=")
        .and_then(|s| s.split_once(",v1="))
        .with_context(|| format!("a signature: {signature}"))?;
    let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let text = format!("{time}.{}", hook.body);
    ensure!(hmac::verify(&key, text.as_bytes(), &bytes).is_ok(), "forged: {hook:?}");
    Ok(())
}

/// Runs the lab for a moment, and ends it; its settled row.
async fn a_run(server: &Server, name: &str, extra: &[&str]) -> Result<Value> {
    let mut grant = vec![
        "grant",
        "--learner",
        name,
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "1000",
    ];
    grant.extend(extra);
    server.cli(&grant)?;
    let api = Api::launch(&server.url, &server.link(name, "shell")?).await?;
    let session = api.start("shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(0).await?;
    let since = Instant::now();
    eventually("it has run for a second", WITHIN, || async {
        Ok((since.elapsed() > Duration::from_millis(1500)).then_some(()))
    })
    .await?;
    api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    let operations = server.operations().await?;
    eventually("its use is settled", WITHIN, || async {
        let rows = operations.get(&format!("/usage?subject={name}")).await?;
        Ok(rows.as_array().and_then(|r| r.first()).cloned())
    })
    .await
}

#[tokio::test]
async fn an_alert_goes_out_once_by_mail_and_by_webhook_through_refusals_and_a_crash() -> Result<()> {
    let (mut mailbox, receiver) = (Mailbox::start(1).await?, Receiver::start().await?);
    let mut options = Options::process();
    options.config = format!(
        "lti: {{private_hosts: [\"127.0.0.1\"]}}\nbudgets: [{{course: net, hours: 9}}]\nalerts:\n  every: 1s\n  \
         webhook: {{url: \"{}\", secret: {SECRET}}}\n  \
         mail: {{server: \"smtp://127.0.0.1:{}\", from: labs@example.org, to: [admin@example.org, boss@example.org]}}\n",
        receiver.url, mailbox.port
    );
    let mut server = Server::start(options).await?;
    server.cli(&[
        "grant",
        "--learner",
        "ada",
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "1000",
    ])?;
    let api = Api::launch(&server.url, &server.link("ada", "shell")?).await?;
    // 900 of her 1000 seconds are held
    api.start("shell").await?;
    let operations = server.operations().await?;
    // written down, too: a try that a crash comes upon before is not counted
    eventually("the webhook and the mail were refused", WITHIN, || async {
        let accounts = operations.get("/operations/accounts").await?;
        let sent = accounts["alerts"][0]["sent"].as_array().cloned().unwrap_or_default();
        let tried = sent.len() == 2 && sent.iter().all(|s| s["attempts"].as_i64() >= Some(1));
        Ok((tried && receiver.refused() > 0).then_some(()))
    })
    .await?;
    server.kill().await?;
    receiver.take();
    server.spawn().await?;
    let mail = mailbox.next().await?;
    ensure!(
        mail["to"] == json!(["admin@example.org", "boss@example.org"]) && mail["from"] == "labs@example.org",
        "{mail}"
    );
    let subject = mail["subject"].as_str().unwrap_or_default();
    ensure!(subject.contains("ada") && subject.contains("80 %"), "{mail}");
    ensure!(
        mail["text"].as_str().is_some_and(|t| t.contains("temps de TP")),
        "in French too: {mail}"
    );
    let hook = eventually("the webhook was taken", WITHIN, || async {
        Ok(receiver.taken().first().cloned())
    })
    .await?;
    signed(&hook)?;
    let body: Value = serde_json::from_str(&hook.body)?;
    ensure!(
        body["of"] == "learner" && body["subject"] == "ada" && body["percent"] == 80,
        "{body}"
    );
    ensure!(body["spent_seconds"] == 900 && body["basis_seconds"] == 1000, "{body}");
    let id = body["id"].as_str().context("an id")?;
    ensure!(
        hook.headers["labwire-alert"] == id && mail["id"].as_str().is_some_and(|m| m.contains(id)),
        "{mail}"
    );

    let shown = eventually("both are known to be sent", WITHIN, || async {
        let accounts = operations.get("/operations/accounts").await?;
        let sent = accounts["alerts"][0]["sent"].as_array().cloned().unwrap_or_default();
        let all = sent.len() == 2 && sent.iter().all(|s| s["sent_at"].is_i64());
        Ok(all.then_some(accounts))
    })
    .await?;
    ensure!(
        shown["alerts"].as_array().is_some_and(|a| a.len() == 1),
        "one alert: {shown}"
    );
    ensure!(
        shown["alerts"][0]["sent"]
            .as_array()
            .is_some_and(|s| s.iter().all(|s| s["attempts"].as_i64() >= Some(2))),
        "{shown}"
    );
    ensure!(
        shown["reconciliation"]["off_seconds"] == 0,
        "reconciled at its start: {shown}"
    );
    ensure!(receiver.taken().len() == 1, "told once: {:?}", receiver.taken());
    ensure!(!server.log().contains(SECRET), "the secret is in no log");
    let teacher = server.teacher("prof").await?;
    ensure!(
        teacher.get("/operations/accounts").await.is_err(),
        "for operations only"
    );
    server.finish().await
}

#[tokio::test]
async fn a_statement_agrees_with_the_ledger_from_outside_in_every_format() -> Result<()> {
    let mut options = Options::process();
    options
        .config
        .push_str("rate_card: {version: \"2026-11\", small: 1000000, medium: 28, large: 56}\n");
    let server = Server::start(options).await?;
    let row = a_run(&server, "zoé", &["--sponsor", "esp", "--source", "sponsor"]).await?;
    let statement = |args: &[&str]| {
        let mut all = vec!["statement"];
        all.extend(args);
        all.extend(PERIOD);
        server.cli(&all)
    };
    for scope in [["--learner", "zoé"], ["--sponsor", "esp"], ["--course", "net"]] {
        let text = statement(&[&scope[..], &["--format", "json"]].concat())?;
        let json: Value = serde_json::from_str(&text)?;
        let t = &json["totals"];
        ensure!(
            t["used"] == row["billed_seconds"] && t["sandbox_seconds"] == row["sandbox_seconds"],
            "{t} {row}"
        );
        ensure!(
            t["given"] == 1000 && t["closing"].as_i64() == row["billed_seconds"].as_i64().map(|b| 1000 - b),
            "{t}"
        );
        let cost = row["sandbox_seconds"].as_i64().map(|s| s * 1_000_000);
        ensure!(
            t["cost_micro_eur"].as_i64() == cost && row["cost_micro_eur"].as_i64() == cost,
            "{t} {row}"
        );
    }
    ensure!(statement(&["--course", "net"])?.contains("Lab time statement"));
    ensure!(statement(&["--course", "net", "--format", "html", "--lang", "fr"])?.contains("Relevé de temps de TP"));
    ensure!(statement(&["--course", "net", "--format", "csv"])?.contains("grant,"));
    let file = server.data_dir()?.join("net.pdf").display().to_string();
    statement(&["--course", "net", "--format", "pdf", "--out", &file])?;
    ensure!(std::fs::read(&file)?.starts_with(b"%PDF-"));
    ensure!(
        server
            .cli(&["usage", "--course", "net", "--costs"])?
            .contains("Overhead")
    );
    ensure!(server.cli(&["reconcile"])?.contains("Every second is accounted for"));

    let path = "/operations/statement?course=net&from=0&until=4102444800";
    let operations = server.operations().await?;
    let sums = operations.get(path).await?;
    ensure!(
        sums["flow"]["used"] == row["billed_seconds"] && sums["learners"] == 1,
        "{sums}"
    );
    for (format, begin) in [("pdf", "%PDF-"), ("csv", "row,"), ("html", "<!doctype html>")] {
        let bytes = operations.bytes(&format!("{path}&format={format}")).await?;
        ensure!(bytes.starts_with(begin.as_bytes()), "{format}");
    }
    ensure!(
        operations.get("/operations/statement?from=0&until=1").await.is_err(),
        "of nobody"
    );
    ensure!(
        operations
            .get("/operations/statement?course=net&from=1&until=1")
            .await
            .is_err(),
        "of no time"
    );
    let looked = operations.get("/audit").await?;
    ensure!(
        looked
            .as_array()
            .is_some_and(|a| a.iter().any(|e| e["action"] == "statement")),
        "{looked}"
    );
    let teacher = server.teacher("prof").await?;
    ensure!(teacher.get(path).await.is_err(), "for operations only");
    let seen = teacher.get("/usage").await?;
    ensure!(
        seen[0]["cost_micro_eur"].is_null(),
        "what machines cost is no teacher's: {seen}"
    );
    server.finish().await
}

/// The hold is written, then the database goes before a sandbox is made, and the server with it.
#[tokio::test]
async fn a_database_that_dies_between_hold_and_sandbox_loses_no_second() -> Result<()> {
    let name = format!("e2e-hold-{}", std::process::id());
    let (gate, address) = database(&name, "127.0.0.1")?;
    let mut options = Options::process();
    // the reconciler looks late: what a click wakes it for comes after the gate is shut
    options.config = format!("database: {address}\n");
    let mut server = Server::start(options).await?;
    server.cli(&[
        "grant",
        "--learner",
        "ada",
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "1000",
    ])?;
    let api = Api::launch(&server.url, &server.link("ada", "shell")?).await?;
    for _ in 0..5 {
        // as soon as the answer is there, the hold is durable; nothing after it is
        let session = api.start("shell").await?;
        gate.shut();
        server.kill().await?;
        gate.open();
        server.spawn().await?;
        let operations = server.operations().await?;
        let view = eventually("the lab came up all the same", WITHIN, || async {
            let view = operations.get(&format!("/sessions/{session}")).await?;
            Ok(matches!(view["state"].as_str(), Some("ready" | "ended" | "failed")).then_some(view))
        })
        .await?;
        ensure!(view["state"] == "ready", "{view}");
        ensure!(server.cli(&["reconcile"])?.contains("Every second is accounted for"));
        operations
            .post(&format!("/sessions/{session}/stop"), &json!({}))
            .await?;
        eventually("it is over and settled", WITHIN, || async {
            let ledger = operations.get("/health").await?["ledger"].clone();
            Ok((ledger["held"] == 0 && ledger["total"] == 0).then_some(()))
        })
        .await?;
    }
    server.finish().await?;
    drop(gate);
    drop_database(&name);
    Ok(())
}
