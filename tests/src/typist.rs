//! A learner who types counted lines and comes back by themselves, as the page does; and what was felt of it.

use crate::{Api, Pace, Tab};
use anyhow::{Context, Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The terminal that echoes every byte as it is (`cat`).
const CAT: u16 = 1;
/// A fast typist makes ten keys a second; here each is a whole line.
const LINE_EVERY: Duration = Duration::from_millis(100);
/// The page's first pause after a loss without a word is up to 250 ms; after a goodbye there is none.
const RETRY_FIRST: Duration = Duration::from_millis(125);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A learner who is away for so long has lost their lab, as far as they can tell.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// What one learner did and felt.
pub struct Typed {
    pub api: Api,
    pub session: String,
    pub tab: Tab,
    /// Output offset before the first line, and pictures received until then.
    pub start: u64,
    pub snapshots: u32,
    /// Lines typed.
    pub lines: u64,
    /// For each lost connection: from the last echo before to the first one after.
    pub pauses: Vec<Duration>,
}

/// Line `n`; all have nine bytes.
fn line(n: u64) -> String {
    format!("{n:08}\n")
}

impl Typed {
    /// What the terminal must have shown since `start`.
    pub fn expected(&self) -> Vec<u8> {
        (0..self.lines).flat_map(|n| line(n).into_bytes()).collect()
    }
}

/// Attaches (which is counted in `begun`), and types until `stop`, then until every line is back.
pub async fn type_on(
    api: Api,
    session: String,
    begun: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) -> Result<Typed> {
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(CAT).await?;
    begun.fetch_add(1, Relaxed);
    tab.forget(CAT);
    let mut me = Typed {
        start: tab.offset(CAT),
        snapshots: tab.view(CAT).snapshots,
        api,
        session,
        tab,
        lines: 0,
        pauses: Vec::new(),
    };
    let mut ticks = tokio::time::interval(LINE_EVERY);
    let (mut seen, mut seen_at) = (me.start, Instant::now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let offset = me.tab.offset(CAT);
        if offset > seen {
            (seen, seen_at) = (offset, Instant::now());
        }
        let lost = me.tab.ended();
        // kept by the tab, and sent again, where the socket does not take it
        let _ = me.tab.input(CAT, line(me.lines)).await;
        me.lines += 1;
        if let Some(why) = lost {
            come_back(&mut me.tab, &why).await?;
            me.tab.offset_reaches(CAT, seen + 1, AWAY_MAX.as_secs()).await?;
            me.pauses.push(seen_at.elapsed());
        }
    }
    let end = me.start + me.lines * 9;
    while me.tab.offset(CAT) < end {
        if let Some(why) = me.tab.ended() {
            come_back(&mut me.tab, &why).await?;
        }
        ensure!(
            me.tab.offset_reaches(CAT, end, AWAY_MAX.as_secs()).await.is_ok() || me.tab.ended().is_some(),
            "lines are missing: {} of {end}",
            me.tab.offset(CAT)
        );
    }
    Ok(me)
}

/// Connects again, as often as it takes.
pub async fn come_back(tab: &mut Tab, why: &str) -> Result<()> {
    let since = Instant::now();
    let mut pause = if why.starts_with("1001") {
        Duration::ZERO
    } else {
        RETRY_FIRST
    };
    loop {
        tokio::time::sleep(pause).await;
        match tab.reconnect().await {
            Ok(()) => return Ok(()),
            Err(e) if since.elapsed() > AWAY_MAX => return Err(e).context("the learner could not come back"),
            Err(_) => pause = (pause * 2).clamp(RETRY_FIRST, RETRY_MAX),
        }
    }
}
