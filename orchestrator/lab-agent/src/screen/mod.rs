//! What terminals look like: a model of each, on a thread of their own.
//!
//! Emulation costs more than everything else the agent does (100-160 MB/s on one core, against the kernel's 65 MB/s per
//! terminal), so it happens beside the path of the bytes, in batches. Questions wait behind the output that came before
//! them, which makes every answer exact for its offset.
//!
//! The queue needs no bound of its own: a terminal's pump passes nothing on before its keyframe, asked for every 512 KiB of output, so at most
//! that much (and one record) of each terminal is under way: 64 terminals × 576 KiB = 36 MiB at the very worst, and as much as 256 KiB of each
//! that were read and wait, 16 MiB. The few terminals that flood at the same time have up to 2 MiB under way (`terminal::spacing`).

mod draw;
mod model;
mod paint;
#[cfg(test)]
mod props;
mod skip;
mod stream;

use bytes::Bytes;
use lab_core::TerminalIndex;
use model::Model;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};
use tokio::sync::oneshot;

/// The emulator's own frames are small; a quarter of the default stack is plenty.
const STACK_BYTES: usize = 512 * 1024;

/// How much of a terminal is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The screen (both, where a full-screen program covers the other).
    Visible,
    /// And as many lines above it as fit.
    WithHistory,
}

/// The line that the cursor is on, joined where it was wrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorLine {
    /// Without trailing blanks.
    pub whole: String,
    pub before_cursor: String,
}

enum Job {
    Feed(TerminalIndex, Vec<Bytes>),
    Resize(TerminalIndex, u16, u16),
    Line(TerminalIndex, oneshot::Sender<CursorLine>),
    Draw(TerminalIndex, Depth, oneshot::Sender<Bytes>),
}

/// The models of all terminals.
pub struct Screens {
    jobs: Sender<Job>,
}

impl Screens {
    /// Starts the thread; it ends with this value.
    pub fn start(count: usize, size: (u16, u16)) -> io::Result<Self> {
        let (jobs, queue) = channel();
        thread::Builder::new()
            .name("screens".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let mut models: Vec<Model> = (0..count).map(|_| Model::new(size.0, size.1)).collect();
                work(&queue, &mut models);
            })?;
        Ok(Self { jobs })
    }

    /// The terminal wrote this.
    pub fn feed(&self, index: TerminalIndex, output: Vec<Bytes>) {
        self.send(Job::Feed(index, output));
    }

    /// The terminal's size is this from here on.
    pub fn resize(&self, index: TerminalIndex, cols: u16, rows: u16) {
        self.send(Job::Resize(index, cols, rows));
    }

    /// The cursor's line after all that was fed.
    pub async fn line(&self, index: TerminalIndex) -> CursorLine {
        let (answer, line) = oneshot::channel();
        self.send(Job::Line(index, answer));
        line.await.unwrap_or_default()
    }

    /// Escape sequences that draw the terminal after all that was fed.
    pub async fn draw(&self, index: TerminalIndex, depth: Depth) -> Bytes {
        self.drawing(index, depth).await.unwrap_or_default()
    }

    /// The same, asked now and awaited later.
    pub fn drawing(&self, index: TerminalIndex, depth: Depth) -> oneshot::Receiver<Bytes> {
        let (answer, screen) = oneshot::channel();
        self.send(Job::Draw(index, depth, answer));
        screen
    }

    fn send(&self, job: Job) {
        self.jobs
            .send(job)
            .expect("the thread catches panics and ends only with this sender");
    }
}

fn work(queue: &Receiver<Job>, models: &mut [Model]) {
    while let Ok(job) = queue.recv() {
        let index = match &job {
            Job::Feed(i, _) | Job::Resize(i, ..) | Job::Line(i, _) | Job::Draw(i, ..) => usize::from(*i),
        };
        let Some(model) = models.get_mut(index) else { continue };
        // The emulator is not ours and reads what a learner's programs write: should it panic, that terminal's screen
        // starts afresh, and its bytes and its shell are not touched.
        if catch_unwind(AssertUnwindSafe(|| answer(model, job))).is_err() {
            crate::log::line(
                "error",
                "screen",
                &format!("the model of terminal {index} failed and starts afresh"),
            );
            let (cols, rows) = model.size();
            *model = Model::new(cols, rows);
        }
    }
}

/// Does one job. Who asked and no longer waits is not missed.
fn answer(model: &mut Model, job: Job) {
    match job {
        // as one: what need not be emulated is the longer, the more is seen of the flood
        Job::Feed(_, output) => model.feed(&output.concat()),
        Job::Resize(_, cols, rows) => model.resize(cols, rows),
        Job::Line(_, to) => drop(to.send(model.cursor_line())),
        Job::Draw(_, depth, to) => drop(to.send(Bytes::from(model.draw(depth)))),
    }
}
