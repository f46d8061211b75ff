//! A person is told, looked at, handed their data and forgotten; and what has had its time goes by itself.

use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, ApiError, Options, Pace, Server, Tab, eventually};
use serde_json::{Value, json};
use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const SH: u16 = 0;
const SUBJECT: &str = "mooc-7f3a-lovelace";
const NAME: &str = "Augusta Ada Byron";
const TEACHER: &str = "Prof. Curie";

/// A launch token of the person whom this is about.
fn token(server: &Server) -> Result<String> {
    let out = server.cli(&[
        "link",
        "--valid",
        "10m",
        "--learner",
        SUBJECT,
        "--name",
        NAME,
        "--lab",
        "shell",
        "--course",
        "net",
    ])?;
    let at = out.find("token=").context("a link has a token")?;
    Ok(out[at + 6..].split_whitespace().next().unwrap_or_default().to_owned())
}

/// Stops a lab and waits until it is over, settled, and its recording is whole.
async fn over(server: &Server, learner: &Api, session: &str) -> Result<()> {
    learner.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    eventually("the lab is over and settled", Duration::from_secs(30), || async {
        let view = learner.get(&format!("/sessions/{session}")).await?;
        Ok((view["state"] == "ended" && view["billed_secs"].is_i64()).then_some(()))
    })
    .await?;
    eventually("no sandbox is left", Duration::from_secs(30), || async {
        Ok(server.sandboxes()?.is_empty().then_some(()))
    })
    .await
}

/// Every text of every table, by Python's own SQLite: not by asking `labwire`.
fn every_text(database: &Path) -> Result<String> {
    const DUMP: &str = "import sqlite3, sys\n\
                        db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)\n\
                        for (t,) in db.execute(\"select name from sqlite_schema where type = 'table'\").fetchall():\n\
                        \x20   for row in db.execute('select * from \"' + t + '\"'):\n\
                        \x20       print(t, *[c for c in row if isinstance(c, str)])\n";
    let out = Command::new("python3")
        .args(["-c", DUMP])
        .arg(database)
        .stdin(Stdio::null())
        .output()
        .context("python3 reads the database")?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8(out.stdout)?)
}

/// Every file below a folder, as bytes.
fn every_file(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(every_file(&path)?);
        } else {
            found.push(fs::read(&path)?);
        }
    }
    Ok(found)
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle.as_bytes())
}

fn refused(result: Result<Value>) -> Result<(u16, String)> {
    let error = result.err().context("it was done")?.downcast::<ApiError>()?;
    Ok((error.status, error.body["code"].as_str().unwrap_or_default().to_owned()))
}

/// The text of one file of an archive.
fn in_zip(archive: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive))?;
    let mut bytes = Vec::new();
    zip.by_name(name)
        .with_context(|| name.to_owned())?
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[tokio::test]
async fn a_person_is_told_watched_and_sees_it_gets_their_data_and_is_forgotten() -> Result<()> {
    let mut options = Options::process();
    options.config = "privacy: {contact: \"dpo@example.org\"}\n".into();
    let server = Server::start(options).await?;
    server.grant(SUBJECT, 3600)?;

    // told before anything is made
    let learner = Api::sign_in(&server.url, &token(&server)?).await?;
    let start = json!({ "lab": "shell" });
    ensure!(refused(learner.post("/sessions", &start).await)? == (403, "privacy-notice".into()));
    ensure!(
        server.sandboxes()?.is_empty(),
        "a sandbox was made for somebody who was told nothing"
    );
    let notice = learner.get("/notice").await?;
    ensure!(
        notice["contact"] == "dpo@example.org" && notice["due"] == true,
        "{notice}"
    );
    learner.read_notice().await?;
    let session = learner.start("shell").await?;

    // works, is watched, and replayed
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "echo typed-$((40+2))\r").await?;
    tab.shows(SH, "typed-42", 10).await?;
    let teacher = server.teacher(TEACHER).await?;
    let watch = Tab::open(&teacher, &session, Pace::Fast).await?;
    watch.ready(20).await?;
    watch.attach(SH, false).await?;
    drop(watch);
    let operations = server.operations().await?;
    let erase = json!({ "subject": SUBJECT, "confirm": SUBJECT });
    ensure!(refused(operations.post("/people/erase", &erase).await)? == (409, "person-live".into()));
    drop(tab);
    over(&server, &learner, &session).await?;
    teacher.get(&format!("/sessions/{session}/recording")).await?;

    // sees both; nobody else may
    let looks = learner.get("/looks").await?;
    let told: Vec<_> = looks
        .as_array()
        .context("a list")?
        .iter()
        .map(|l| {
            (
                l["action"].as_str().unwrap_or_default(),
                l["name"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    ensure!(told == [("replay", TEACHER), ("view", TEACHER)], "{looks}");
    for somebody in [&learner, &teacher] {
        for path in ["/people/export", "/people/erase"] {
            ensure!(refused(somebody.post(path, &erase).await)?.0 == 403);
        }
    }
    ensure!(refused(teacher.get("/looks").await)?.0 == 403);

    // their data, by both doors
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ada.zip");
    let path = file.to_str().context("a path of text")?;
    server.cli(&["person", "export", SUBJECT, "-o", path])?;
    let archive = fs::read(&file)?;
    let cast = format!("recordings/{session}/sh.cast");
    ensure!(
        holds(&in_zip(&archive, &cast)?, "typed-42"),
        "what was typed is echoed in the recording"
    );
    ensure!(holds(
        &in_zip(&archive, &format!("recordings/{session}/journal.bin"))?,
        "typed-42"
    ));
    ensure!(holds(&in_zip(&archive, "access-log.csv")?, TEACHER));
    ensure!(holds(&in_zip(&archive, "profile.json")?, NAME));
    ensure!(holds(&in_zip(&archive, "ledger.csv")?, &format!("hold:{session}")));
    ensure!(
        server.cli(&["person", "export", SUBJECT, "-o", path]).is_err(),
        "nothing is written over"
    );
    let same = operations
        .post_for_bytes("/people/export", &json!({ "subject": SUBJECT }))
        .await?;
    ensure!(in_zip(&same, &cast)? == in_zip(&archive, &cast)?);

    forgotten(&server, &learner).await?;
    server.finish().await
}

/// Nothing in the database or among the recordings says who they were; the ledger adds up.
async fn forgotten(server: &Server, learner: &Api) -> Result<()> {
    let (data, database) = (server.data_dir()?, server.data_dir()?.join("labwire.db"));
    ensure!(every_text(&database)?.contains(NAME), "the dump reads what is there");
    let recorded = every_file(&data.join("recordings"))?;
    ensure!(
        recorded.iter().any(|f| holds(f, "typed-42")),
        "the recording is there until now"
    );

    ensure!(server.cli(&["person", "ls", "byron"])?.contains(SUBJECT));
    let dry = server.cli(&["person", "erase", SUBJECT, "--dry-run"])?;
    ensure!(dry.contains("Nothing was changed"), "{dry}");
    ensure!(
        server.cli(&["person", "erase", SUBJECT]).is_err(),
        "nobody was there to ask"
    );
    server.cli(&["person", "erase", SUBJECT, "--yes"])?;
    server.cli(&["person", "erase", SUBJECT, "--yes"])?;

    let left = every_text(&database)?;
    for who in [SUBJECT, NAME] {
        let lines: Vec<_> = left.lines().filter(|l| l.contains(who)).collect();
        ensure!(lines.is_empty(), "{who} is still in: {lines:?}");
    }
    ensure!(left.contains("erased:"), "the ledger's rows are somebody's");
    let recorded = every_file(&data.join("recordings"))?;
    ensure!(recorded.is_empty(), "{} objects are left", recorded.len());
    ensure!(refused(learner.get("/me").await)?.0 == 401, "their tab is signed out");
    let reconciled = server.cli(&["reconcile"])?;
    ensure!(reconciled.contains("Every second is accounted for"), "{reconciled}");
    let usage: Value = serde_json::from_str(&server.cli(&["usage", "--format", "json"])?)?;
    ensure!(
        usage[0]["subject"].as_str().is_some_and(|s| s.starts_with("erased:")),
        "{usage}"
    );

    // who comes back is somebody new, and told anew
    server.grant(SUBJECT, 600)?;
    let again = Api::sign_in(&server.url, &token(server)?).await?;
    ensure!(again.get("/notice").await?["due"] == true);
    ensure!(again.get("/looks").await? == json!([]));
    ensure!(again.get("/sessions").await? == json!([]));
    Ok(())
}

#[tokio::test]
async fn a_recording_whose_time_has_come_goes_and_what_was_billed_stays() -> Result<()> {
    let mut options = Options::process();
    options.config = "privacy: {retention: {recordings: 1s, every: 1s}}\n".into();
    let server = Server::start(options).await?;
    let (learner, session) = server.learner("lin", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "echo kept-$((40+2))\r").await?;
    tab.shows(SH, "kept-42", 10).await?;
    drop(tab);
    let folder = server.data_dir()?.join("recordings");
    eventually("it is recorded", Duration::from_secs(20), || async {
        Ok((!every_file(&folder)?.is_empty()).then_some(()))
    })
    .await?;
    over(&server, &learner, &session).await?;
    eventually("its objects are gone", Duration::from_secs(30), || async {
        Ok(every_file(&folder)?.is_empty().then_some(()))
    })
    .await?;
    let replay = refused(learner.get(&format!("/sessions/{session}/recording")).await)?;
    ensure!(replay == (404, "recording-removed".into()), "{replay:?}");
    let told = server.cli(&["retention", "--dry-run"])?;
    ensure!(told.contains("Nothing was changed"), "{told}");
    let overview = server.operations().await?.get("/operations").await?;
    let recordings = &overview["retention"]["classes"][0];
    ensure!(
        recordings["class"] == "recordings" && recordings["removed"] == 1,
        "{overview}"
    );
    let view = learner.get(&format!("/sessions/{session}")).await?;
    ensure!(view["billed_secs"].is_i64() && view["name"] == "lin", "{view}");
    server.finish().await
}
