//! From one terminal's output to every tab that shows it: who is placed where, who gets what now, who waits.
//!
//! The seat's tab decides the pace: what it may have under way is the agent's limit for the terminal ([`Hub::credit`]). Every
//! other tab takes what its own window allows and is otherwise left behind until it has drawn what it has; then it gets a
//! snapshot instead of what it missed. Nobody waits for it.

use super::{
    api::FromHub,
    attachment::{Attachment, AttachmentId, Phase, View},
    console::Console,
    hub::Hub,
    limits::CREDIT_STEPS,
    ring::Ring,
};
use lab_core::{
    TerminalIndex,
    agent::{AgentFrame, SnapshotFrame, ToAgent},
    terminal::Window,
};
use tokio::sync::oneshot;

/// Why a tab got nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// It has everything.
    Drained,
    /// Its window is full, or its queue.
    Full,
    /// What it needs next is not here.
    Gone,
}

impl Hub {
    /// Everything that is to be seen first has been read: tabs can be placed.
    pub(super) fn refilled_up_to(&mut self, offset: u64) {
        if self.reader.refilled || offset < self.reader.welcomed {
            return;
        }
        self.reader.refilled = true;
        for c in &mut self.consoles {
            c.ring.get_or_insert_with(|| Ring::at(c.total));
        }
        let ids: Vec<_> = self.attachments.keys().copied().collect();
        for id in ids {
            let terminals: Vec<_> = self
                .attachments
                .get(&id)
                .into_iter()
                .flat_map(|a| a.views.keys().copied())
                .collect();
            for terminal in terminals {
                self.place(id, terminal);
            }
        }
    }

    /// Decides from where a tab is served.
    pub(super) fn place(&mut self, id: AttachmentId, terminal: TerminalIndex) {
        let now_us = self.ports.clock.monotonic_us();
        let (Some(a), Some(c)) = (self.attachments.get_mut(&id), self.consoles.get(terminal as usize)) else {
            return;
        };
        let Some(view) = a.views.get_mut(&terminal) else { return };
        let (Phase::Placing { from }, Some(ring), true) = (view.phase, &c.ring, self.reader.refilled) else {
            return;
        };
        // a terminal that has written nothing needs no picture
        let from = from.or((ring.end() == 0).then_some(0));
        let Some(from) = from.filter(|from| (ring.start()..=ring.end()).contains(from)) else {
            view.phase = Phase::Snapshot;
            return self.request_snapshot(terminal);
        };
        view.phase = Phase::Streaming;
        view.sent = from;
        view.mark = c.marks_from_output(from);
        view.window = Window::new(from, now_us);
        self.pump(id, terminal);
        self.credit(terminal);
    }

    /// Asks the agent for a terminal's state, unless that is under way.
    pub(super) fn request_snapshot(&mut self, terminal: TerminalIndex) {
        let request = self.next_request;
        let Some(c) = self.consoles.get_mut(terminal as usize) else {
            return;
        };
        if self.link.is_up() && c.snapshot.is_none() {
            c.snapshot = Some(request);
            self.next_request = self.next_request.wrapping_add(1);
            self.link.send(&ToAgent::Snapshot { request, terminal });
        }
    }

    /// Someone waits for a snapshot of this terminal.
    pub(super) fn is_awaited(&self, terminal: TerminalIndex) -> bool {
        self.attachments
            .values()
            .any(|a| a.views.get(&terminal).is_some_and(|v| v.phase == Phase::Snapshot))
    }

    /// A snapshot for someone who is not a tab.
    pub(super) fn screen(&mut self, terminal: TerminalIndex, reply: oneshot::Sender<SnapshotFrame>) {
        if let Some(c) = self.consoles.get_mut(terminal as usize).filter(|_| self.link.is_up()) {
            c.screens.push(reply);
            self.request_snapshot(terminal);
        }
    }

    /// Gives a snapshot to all who wait; each goes on from its exact offset.
    pub(super) fn on_snapshot(&mut self, frame: SnapshotFrame) {
        let now_us = self.ports.clock.monotonic_us();
        let terminal = frame.terminal;
        let Some(c) = self
            .consoles
            .get_mut(terminal as usize)
            .filter(|c| c.snapshot == Some(frame.request))
        else {
            return;
        };
        c.snapshot = None;
        let mark = c.marks_from_journal(frame.journal);
        for reply in c.screens.drain(..) {
            let _ = reply.send(frame.clone());
        }
        let SnapshotFrame {
            offset,
            cols,
            rows,
            screen,
            ..
        } = frame;
        let mut overflowed = Vec::new();
        let mut served = Vec::new();
        for (&id, a) in &mut self.attachments {
            let Some(view) = a.views.get_mut(&terminal).filter(|v| v.phase == Phase::Snapshot) else {
                continue;
            };
            view.phase = Phase::Streaming;
            view.sent = offset;
            view.mark = mark;
            view.window = Window::new(offset, now_us);
            served.push(id);
            if a.notify(FromHub::Snapshot {
                terminal,
                offset,
                cols,
                rows,
                screen: screen.clone(),
            })
            .is_err()
            {
                overflowed.push(id);
            }
        }
        self.expel_all(overflowed);
        for id in served {
            self.pump(id, terminal);
        }
        self.credit(terminal);
    }

    /// Output was missed: everyone who had not all of it needs a picture.
    pub(super) fn resync_all(&mut self, terminal: TerminalIndex) {
        let Some(start) = self
            .consoles
            .get(terminal as usize)
            .and_then(|c| c.ring.as_ref())
            .map(Ring::start)
        else {
            return;
        };
        let mut any = false;
        for view in self.attachments.values_mut().filter_map(|a| a.views.get_mut(&terminal)) {
            if matches!(view.phase, Phase::Streaming | Phase::Lagging) && view.sent < start {
                view.phase = Phase::Snapshot;
                any = true;
            }
        }
        if any {
            self.request_snapshot(terminal);
        }
    }

    /// A tab has drawn up to `offset`.
    pub(super) fn on_drawn(&mut self, id: AttachmentId, terminal: TerminalIndex, offset: u64) {
        let now_us = self.ports.clock.monotonic_us();
        let Some(view) = self.attachments.get_mut(&id).and_then(|a| a.views.get_mut(&terminal)) else {
            return;
        };
        if !matches!(view.phase, Phase::Streaming | Phase::Lagging) {
            return;
        }
        // nobody has drawn what was not sent
        view.window.drawn(offset.min(view.sent), now_us);
        if view.phase == Phase::Lagging && view.window.drawn_offset() == view.sent {
            view.phase = Phase::Streaming;
            let behind = self.consoles[terminal as usize].end().saturating_sub(view.sent);
            if behind > view.window_bytes() {
                self.resync(id, terminal);
            }
        }
        self.pump(id, terminal);
        self.credit(terminal);
    }

    fn resync(&mut self, id: AttachmentId, terminal: TerminalIndex) {
        if let Some(view) = self.attachments.get_mut(&id).and_then(|a| a.views.get_mut(&terminal)) {
            view.phase = Phase::Snapshot;
            self.metrics.viewer_resyncs_total.inc();
            self.request_snapshot(terminal);
        }
    }

    /// Serves everyone who shows a terminal.
    pub(super) fn pump_terminal(&mut self, terminal: TerminalIndex) {
        let ids: Vec<_> = self
            .attachments
            .iter()
            .filter(|(_, a)| a.views.contains_key(&terminal))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.pump(id, terminal);
        }
    }

    /// Serves all terminals of a tab.
    pub(super) fn pump_all(&mut self, id: AttachmentId) {
        let terminals: Vec<_> = self
            .attachments
            .get(&id)
            .into_iter()
            .flat_map(|a| a.views.keys().copied())
            .collect();
        for terminal in terminals {
            self.pump(id, terminal);
        }
    }

    /// Sends a tab what it may have of a terminal now.
    pub(super) fn pump(&mut self, id: AttachmentId, terminal: TerminalIndex) {
        let (Some(a), Some(c)) = (self.attachments.get_mut(&id), self.consoles.get(terminal as usize)) else {
            return;
        };
        let drives = c.writer() == Some(a.viewer.writer);
        let Some(mut view) = a.views.remove(&terminal) else {
            return;
        };
        let before = view.sent;
        let pause = match view.phase {
            Phase::Streaming => pump_view(&mut view, c, terminal, a),
            Phase::Placing { .. } | Phase::Snapshot | Phase::Lagging => Pause::Full,
        };
        self.metrics.terminal_output_bytes_total.inc_by(view.sent - before);
        let unsent = c.end().saturating_sub(view.sent);
        let idle = view.window.drawn_offset() == view.sent;
        let streaming = view.phase == Phase::Streaming;
        let behind = streaming && !drives && pause == Pause::Full && unsent > view.window_bytes();
        if behind && !idle {
            view.phase = Phase::Lagging;
        }
        a.views.insert(terminal, view);
        if pause == Pause::Gone || (behind && idle && !a.is_stuck()) {
            self.resync(id, terminal);
        }
    }

    /// Tells the agent how far a terminal may run: as far as the window of the tab that has its seat, without limit when no
    /// such tab is here.
    pub(super) fn credit(&mut self, terminal: TerminalIndex) {
        let Some(c) = self.consoles.get_mut(terminal as usize) else {
            return;
        };
        let Some(writer) = c.writer() else { return };
        // the newest, should the tab's old socket not have died yet
        let view = self
            .attachments
            .values()
            .rev()
            .filter(|a| a.viewer.writer == writer)
            .find_map(|a| a.views.get(&terminal));
        let limit = match view.map(|v| (v.phase, v.window.limit())) {
            Some((Phase::Streaming, limit)) => limit,
            // it is about to be placed where it was
            Some((Phase::Placing { .. }, _)) => return,
            Some(_) => u64::MAX,
            // its connection broke; it may be back before it has missed more than its window
            None if self.absent.get(&terminal).is_some_and(|a| a.writer == writer) => return,
            None => u64::MAX,
        };
        // less than before is told at once; a little more is not worth waking the agent for
        let step = view.map_or(0, |v| v.window_bytes() / CREDIT_STEPS);
        let is_news = limit != c.credit && (limit < c.credit || limit - c.credit >= step);
        if is_news && self.link.is_up() {
            c.credit = limit;
            self.link.frame(&AgentFrame::Credit {
                terminal,
                writer,
                limit,
            });
        }
    }
}

/// Sends output and in-order notices until something stops it.
fn pump_view(view: &mut View, c: &Console, terminal: TerminalIndex, a: &mut Attachment) -> Pause {
    let Some(ring) = &c.ring else { return Pause::Full };
    loop {
        let mark = c.mark_at(view.mark);
        if let Some((number, mark)) = mark.filter(|(_, m)| m.offset <= view.sent) {
            let Some(permit) = a.room() else { return Pause::Full };
            permit.send(FromHub::Control(Box::new(mark.notice.clone())));
            view.mark = number + 1;
            continue;
        }
        if view.sent >= ring.end() {
            return Pause::Drained;
        }
        if view.sent < ring.start() {
            return Pause::Gone;
        }
        let until = mark.map_or(u64::MAX, |(_, m)| m.offset).min(view.window.limit());
        let Some(bytes) = ring.piece(view.sent, until) else {
            return Pause::Full;
        };
        let Some(permit) = a.room() else { return Pause::Full };
        let offset = view.sent;
        view.sent += bytes.len() as u64;
        permit.send(FromHub::Output {
            terminal,
            offset,
            bytes,
        });
    }
}
