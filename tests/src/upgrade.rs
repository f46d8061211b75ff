//! A rolling upgrade, and a crash, under learners who type: what they felt, and whether every byte is where it must be.

use crate::{Api, Pace, Replicas, Tab, Typed, come_back, eventually, type_on};
use anyhow::{Context, Result, bail, ensure};
use lab_core::journal::{Decoder, Event};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

const CAT: u16 = 1;
const REPLICAS: usize = 3;
/// Four sandboxes are made at once, a second each; the rest is for a busy machine.
const BEGUN_WITHIN: Duration = Duration::from_secs(240);

/// What was measured.
#[derive(Debug)]
pub struct Upgrade {
    pub learners: usize,
    /// Lines typed by all of them.
    pub lines: u64,
    /// Each pause that a learner felt, shortest first.
    pub pauses: Vec<Duration>,
    /// How long each replica took to go.
    pub ends: Vec<Duration>,
    /// What is not where it must be, or not as it must be; empty when the promise holds.
    pub wrong: Vec<Wrong>,
}

/// Bytes that were lost, doubled or changed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {bytes} bytes wrong; {shown}")]
pub struct Wrong {
    pub what: &'static str,
    /// From the first difference to the longer end.
    pub bytes: u64,
    /// Around the first difference.
    pub shown: String,
}

impl Upgrade {
    /// All that is [`Upgrade::wrong`].
    pub fn wrong_bytes(&self) -> u64 {
        self.wrong.iter().map(|w| w.bytes).sum()
    }

    /// The pause that 99 of 100 were not longer than.
    pub fn pause_p99(&self) -> Duration {
        let at = (self.pauses.len() * 99).div_ceil(100).saturating_sub(1);
        self.pauses.get(at).copied().unwrap_or_default()
    }
}

/// Learners at work on three replicas.
pub struct Class {
    pub replicas: Replicas,
    agents: Vec<String>,
    typists: JoinSet<Result<Typed>>,
    stop: watch::Sender<bool>,
    learners: usize,
}

impl Class {
    /// Starts everything; returns when every learner types.
    pub async fn begin(learners: usize, lab: &str) -> Result<Self> {
        let replicas = Replicas::start(REPLICAS, lab).await?;
        let begun = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = watch::channel(false);
        let mut typists = JoinSet::new();
        for n in 0..learners {
            let (api, session) = replicas.learner(&format!("learner-{n}")).await?;
            typists.spawn(type_on(api, session, begun.clone(), stopped.clone()));
        }
        let all = eventually("every learner types", BEGUN_WITHIN, || async {
            Ok((begun.load(Relaxed) == learners).then_some(()))
        });
        tokio::select! {
            all = all => all?,
            Some(done) = typists.join_next() => {
                let why = done?.err().map_or_else(|| "without an error".to_owned(), |e| format!("{e:#}"));
                bail!("a learner stopped: {why}\n{}", replicas.logs(20));
            }
        }
        let mut agents = replicas.agents();
        agents.sort();
        ensure!(
            agents.len() == learners,
            "{} agents for {learners} learners",
            agents.len()
        );
        Ok(Self {
            replicas,
            agents,
            typists,
            stop,
            learners,
        })
    }

    /// Has everybody finish their line, and looks whether each byte is once in the tab, in the recording and at the agent.
    pub async fn end(mut self, ends: Vec<Duration>) -> Result<Upgrade> {
        self.stop.send_replace(true);
        let mut done = Vec::new();
        while let Some(typed) = self.typists.join_next().await {
            done.push(typed??);
        }
        let mut agents = self.replicas.agents();
        agents.sort();
        ensure!(agents == self.agents, "a shell was lost");
        let mut wrong = Vec::new();
        for typed in &done {
            let proof = prove(&self.replicas, typed).await;
            match proof.map_err(anyhow::Error::downcast::<Wrong>) {
                Ok(()) => {}
                Err(Ok(found)) => wrong.push(found),
                Err(Err(error)) => return Err(error.context(format!("session {}", typed.session))),
            }
        }
        let mut pauses: Vec<Duration> = done.iter().flat_map(|t| t.pauses.iter().copied()).collect();
        pauses.sort_unstable();
        let lines = done.iter().map(|t| t.lines).sum();
        drop(done);
        self.replicas.finish().await?;
        Ok(Upgrade {
            learners: self.learners,
            lines,
            pauses,
            ends,
            wrong,
        })
    }
}

/// Replaces three replicas one after another, each asked to stop, under `learners` who type.
///
/// # Errors
/// A lost shell; a replica that needs longer than its grace.
pub async fn rolling_upgrade(learners: usize, lab: &str) -> Result<Upgrade> {
    let mut class = Class::begin(learners, lab).await?;
    let mut ends = Vec::new();
    for n in 0..class.replicas.count() {
        ends.push(class.replicas.terminate(n).await?);
        class.replicas.spawn(n)?;
        class.replicas.ready(n).await?;
    }
    class.end(ends).await
}

/// Kills one replica under `learners` who type, with a teacher watching one of them and another the wall. The longest that a
/// teacher saw nothing comes back too.
///
/// # Errors
/// As [`rolling_upgrade`].
pub async fn killed_replica(learners: usize, lab: &str) -> Result<(Upgrade, Duration)> {
    let mut class = Class::begin(learners, lab).await?;
    let teacher = class.replicas.staff(&class.replicas.url, "teacher").await?;
    let sessions = teacher.get("/sessions?live=1").await?;
    let watched = sessions[0]["id"].as_str().context("a session to watch")?.to_owned();
    let (stop, stopped) = watch::channel(false);
    let begun = Arc::new(AtomicUsize::new(0));
    // one watcher a replica, or nearly: whichever is killed, somebody watched through it
    let mut watchers = JoinSet::new();
    for _ in 0..class.replicas.count() {
        watchers.spawn(watch_on(
            teacher.clone(),
            watched.clone(),
            begun.clone(),
            stopped.clone(),
        ));
    }
    eventually("everybody watches", Duration::from_secs(20), || async {
        Ok((begun.load(Relaxed) == class.replicas.count()).then_some(()))
    })
    .await?;
    class.replicas.kill(0).await?;
    // long enough for leases to lapse and be taken over, with everybody at work
    let at_kill = recorded(&teacher, &sessions).await?;
    eventually(
        "the others record what the killed one did",
        Duration::from_secs(40),
        || async {
            let now = recorded(&teacher, &sessions).await?;
            Ok(now.iter().zip(&at_kill).all(|(now, then)| now > then).then_some(()))
        },
    )
    .await?;
    stop.send_replace(true);
    let mut longest = Duration::ZERO;
    while let Some(gap) = watchers.join_next().await {
        longest = longest.max(gap??);
    }
    class.replicas.spawn(0)?;
    class.replicas.ready(0).await?;
    Ok((class.end(Vec::new()).await?, longest))
}

/// How far each session is recorded. Compared with an earlier time: two looks a moment apart can fall between the same two chunks for ever.
async fn recorded(teacher: &Api, sessions: &serde_json::Value) -> Result<Vec<u64>> {
    let mut ends = Vec::new();
    for session in sessions.as_array().context("sessions")? {
        let id = session["id"].as_str().context("a session's id")?;
        let index = teacher.get(&format!("/sessions/{id}/recording")).await?;
        ends.push(index["end"].as_u64().context("the recording's end")?);
    }
    Ok(ends)
}

/// Watches a learner (which is counted in `begun`) until told to stop, coming back after each loss; the longest time without output.
async fn watch_on(
    api: Api,
    session: String,
    begun: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) -> Result<Duration> {
    let mut tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.ready(30).await?;
    tab.attach(CAT, false).await?;
    begun.fetch_add(1, Relaxed);
    let (mut seen, mut seen_at, mut longest) = (tab.offset(CAT), Instant::now(), Duration::ZERO);
    while !*stop.borrow_and_update() {
        if let Some(why) = tab.ended() {
            come_back(&mut tab, &why).await?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let offset = tab.offset(CAT);
        if offset > seen {
            longest = longest.max(seen_at.elapsed());
            (seen, seen_at) = (offset, Instant::now());
        }
    }
    Ok(longest)
}

/// The same bytes in the tab, in the recording and at the agent.
async fn prove(replicas: &Replicas, typed: &Typed) -> Result<()> {
    let journal = prove_recorded(typed).await?;
    let agents = replicas.agent_journal(&typed.session, journal.len() as u64).await?;
    Ok(same("the recording of the agent's journal", &journal, &agents)?)
}

/// Every typed line once, in the tab and in the recording; the journal.
///
/// # Errors
/// [`Wrong`] at the first difference.
pub async fn prove_recorded(typed: &Typed) -> Result<Vec<u8>> {
    let expected = typed.expected();
    let view = typed.tab.view(CAT);
    same("the tab", &view.bytes, &expected)?;
    ensure!(
        view.snapshots == typed.snapshots,
        Wrong {
            what: "the tab",
            bytes: 1,
            shown: format!("resynchronised {} times", view.snapshots - typed.snapshots),
        }
    );
    let end = typed.start as usize + expected.len();
    let journal = eventually("the recording has every line", Duration::from_secs(40), || async {
        let journal = journal(&typed.api, &typed.session).await?;
        Ok((output(&journal, CAT)?.len() >= end).then_some(journal))
    })
    .await?;
    let recorded = output(&journal, CAT)?;
    same("the recording", &recorded[typed.start as usize..], &expected)?;
    Ok(journal)
}

fn same(what: &'static str, found: &[u8], expected: &[u8]) -> Result<(), Wrong> {
    if found == expected {
        return Ok(());
    }
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let part = &bytes[same.saturating_sub(20).min(bytes.len())..(same + 20).min(bytes.len())];
        String::from_utf8_lossy(part).into_owned()
    };
    Err(Wrong {
        what,
        bytes: (found.len().max(expected.len()) - same) as u64,
        shown: format!(
            "{} instead of {}, the same up to {same}: {:?} instead of {:?}",
            found.len(),
            expected.len(),
            around(found),
            around(expected)
        ),
    })
}

/// A session's journal as it is recorded so far.
pub async fn journal(api: &Api, session: &str) -> Result<Vec<u8>> {
    let index = api.get(&format!("/sessions/{session}/recording")).await?;
    let end = index["end"].as_u64().context("the recording's end")?;
    let mut journal = Vec::new();
    while (journal.len() as u64) < end {
        let path = format!("/sessions/{session}/recording/journal?from={}&to={end}", journal.len());
        let part = api.bytes(&path).await?;
        ensure!(!part.is_empty(), "the journal is empty at {} of {end}", journal.len());
        journal.extend(part);
    }
    Ok(journal)
}

/// One terminal's output in a journal, without hole or double.
pub fn output(journal: &[u8], terminal: u16) -> Result<Vec<u8>> {
    let mut decoder = Decoder::new(0);
    decoder.push(journal);
    let mut out = Vec::new();
    while let Some(record) = decoder.next_record()? {
        if let (true, Event::Output(bytes)) = (record.terminal == terminal, record.event) {
            ensure!(
                record.offset == out.len() as u64,
                "output at {}, expected {}",
                record.offset,
                out.len()
            );
            out.extend_from_slice(&bytes);
        }
    }
    Ok(out)
}
