//! The lab's own life: files, `start`, `ready`, terminals, and the end of `start`.

pub mod checks;
pub mod descendants;
mod files;
pub mod process;
pub mod reaper;
pub mod signals;

pub use files::rebase;

use crate::{
    agent::Agent,
    log,
    terminal::{self, Terminal},
};
use lab_core::journal::LabEvent;
use process::{Ended, Lines};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The first try of `ready` comes after this; each wait is half as long again …
const READY_FIRST: Duration = Duration::from_millis(20);
/// … up to this, so that a slow lab's `ready` does not take a core from its `start`.
const READY_SLOWEST: Duration = Duration::from_millis(250);
/// One try of `ready`; one that hangs is killed and tried again.
const READY_TRY: Duration = Duration::from_secs(10);
/// A terminal that shows no prompt does not keep a learner waiting longer.
const PROMPT_WITHIN: Duration = Duration::from_secs(5);
/// Progress is told at most this often, whatever the lab prints.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Bytes of one progress step.
const STEP_BYTES_MAX: usize = 200;

/// Brings the lab up and watches `start` until it ends.
pub async fn bring_up(agent: Rc<Agent>) {
    let progress = Progress::default();
    if let Err(error) = files::write_all(&agent.spec.files, agent.options.root.as_deref()) {
        agent.lab(LabEvent::Failed {
            code: "files".into(),
            detail: error.to_string(),
        });
        return;
    }
    let started = match process::start(&agent, &agent.spec.start) {
        Ok(started) => started,
        Err(error) => {
            let detail = format!("cannot start {:?}: {error}", agent.spec.start);
            agent.lab(LabEvent::Failed {
                code: "start".into(),
                detail,
            });
            return;
        }
    };
    agent.lab(LabEvent::Starting);
    let deadline = Instant::now() + Duration::from_millis(agent.spec.ready_within_ms);
    // before anything else: machines wait for it
    open_terminals(&agent, is_serial);
    let up = async {
        if become_ready(&agent, &progress, deadline).await && consoles_prompt(&agent, &progress, deadline).await {
            open_terminals(&agent, |t| !is_serial(t));
            tell_ready(&agent).await;
        }
        std::future::pending::<()>().await;
    };
    let lines = |line: &str| {
        log::line("info", "start", &line);
        if agent.ready_us.get().is_none() {
            progress.tell(&agent, line);
        }
    };
    let ended = tokio::select! {
        ended = process::watch(&agent, started, Lines::Each(&lines)) => ended,
        () = up => return,
    };
    // ended by us: that the lab is stopped is told by who asked for it
    if agent.is_stopping() {
        return;
    }
    agent.lab(LabEvent::Exited { status: ended.status });
    if agent.ready_us.get().is_none() {
        let detail = format!(
            "`start` ended with status {} before the lab was ready\n{}",
            ended.status, ended.tail
        );
        agent.lab(LabEvent::Failed {
            code: "start-ended".into(),
            detail,
        });
    }
}

/// Polls `ready`. False when it did not pass in time, which has been told.
async fn become_ready(agent: &Rc<Agent>, progress: &Progress, deadline: Instant) -> bool {
    if agent.spec.ready.is_empty() {
        return true;
    }
    let mut wait = READY_FIRST;
    let mut said: Option<String> = None;
    loop {
        sleep(wait).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let tried = process::run(agent, &agent.spec.ready, READY_TRY.min(left)).await;
        if tried.status == 0 && !tried.timed_out {
            return true;
        }
        // a try that the deadline cut short says nothing: what the one before it said is what a learner can pass on
        let silent = tried.timed_out && tried.tail.trim().is_empty();
        let reason = said.take().filter(|_| silent).unwrap_or_else(|| why(&tried));
        if Instant::now() >= deadline {
            let within = agent.spec.ready_within_ms;
            let detail = format!("not ready within {within} ms; {reason}");
            agent.lab(LabEvent::Failed {
                code: "ready-timeout".into(),
                detail,
            });
            return false;
        }
        progress.tell(agent, &format!("waiting for ready: {reason}"));
        said = Some(reason);
        wait = (wait * 3 / 2).min(READY_SLOWEST);
    }
}

fn why(tried: &Ended) -> String {
    let how = if tried.timed_out {
        "no answer".to_owned()
    } else {
        format!("exit status {}", tried.status)
    };
    match tried.tail.trim().lines().last() {
        Some(line) => format!("{how}, {line}"),
        None => how,
    }
}

/// A machine's line, which speaks from the machine's start on.
fn is_serial(terminal: &Terminal) -> bool {
    terminal.spec.socket.is_some()
}

/// Waits until every machine's console has shown its prompt. False when one did not in time, which has been told.
async fn consoles_prompt(agent: &Rc<Agent>, progress: &Progress, deadline: Instant) -> bool {
    let silent = || {
        let waiting = agent.terminals().iter().filter(|t| is_serial(t) && !t.prompted.get());
        waiting.map(|t| t.spec.id.as_str()).collect::<Vec<_>>().join(", ")
    };
    loop {
        let consoles = silent();
        if consoles.is_empty() {
            return true;
        }
        progress.tell(agent, &format!("waiting for the prompt of {consoles}"));
        if timeout_at(deadline, agent.lab_wake.notified()).await.is_err() {
            let within = agent.spec.ready_within_ms;
            let detail = format!("not ready within {within} ms; no prompt on the console of {}", silent());
            agent.lab(LabEvent::Failed {
                code: "ready-timeout".into(),
                detail,
            });
            return false;
        }
    }
}

/// Starts the terminals that are of a kind.
fn open_terminals(agent: &Rc<Agent>, of_kind: impl Fn(&Terminal) -> bool) {
    for (index, terminal) in agent.terminals().iter().enumerate() {
        if of_kind(terminal) {
            terminal.pumped.set(true);
            agent.spawn(terminal::run(Rc::clone(agent), index as u16));
        }
    }
}

/// Tells that the lab is ready once the first terminal prompts.
async fn tell_ready(agent: &Rc<Agent>) {
    let prompted = async {
        while !agent
            .terminals()
            .first()
            .is_none_or(|t| t.prompted.get() || t.exited.get().is_some())
        {
            agent.lab_wake.notified().await;
        }
    };
    // why the result is dropped: a terminal without a prompt is usable too
    let _ = timeout(PROMPT_WITHIN, prompted).await;
    agent.ready_us.set(Some(agent.clock.now_us()));
    agent.lab(LabEvent::Ready);
}

/// What the learner's progress list was told last.
#[derive(Default)]
struct Progress {
    last: RefCell<Option<(Instant, String)>>,
}

impl Progress {
    /// Tells a step, unless it is the same as the last one or comes too soon after it.
    fn tell(&self, agent: &Agent, step: &str) {
        let step = step.trim();
        let step = &step[..step.floor_char_boundary(STEP_BYTES_MAX)];
        let mut last = self.last.borrow_mut();
        let told = last
            .as_ref()
            .is_some_and(|(at, text)| text == step || at.elapsed() < PROGRESS_EVERY);
        if !told && !step.is_empty() {
            *last = Some((Instant::now(), step.to_owned()));
            agent.lab(LabEvent::Progress { step: step.to_owned() });
        }
    }
}
