//! What the hub hears from the agent. The agent's sandbox belongs to the learner: all of it is input, none of it is trusted.

use super::{
    agent_link::{LinkError, LinkEvent},
    console::Mark,
    hub::Hub,
    limits::STEPS_MAX,
    notices::refusal,
    ring::Ring,
};
use crate::recording::{Feed, RecorderHandle};
use bytes::Bytes;
use futures_util::FutureExt;
use lab_core::{
    TerminalIndex, WHOLE_SESSION, WriterId,
    agent::{AgentFrame, FromAgent, ToAgent, Welcome},
    journal::{CheckOutcome, Command, Event, JournalError, LabEvent, Record, Seat},
    terminal::ToBrowser,
};
use std::{collections::BTreeSet, time::Duration};

/// The role of a seat's holder who is the session's own learner.
const LEARNER: &str = "learner";

/// Outcomes on their way to the store: every check of a large lab, twice. More is an agent that plays tricks.
const WRITES_MAX: usize = 256;

impl Hub {
    pub(super) fn on_link(&mut self, event: LinkEvent) {
        let heard = matches!(event, LinkEvent::Frame(_) | LinkEvent::Text(_));
        match event {
            LinkEvent::Up(welcome) => self.on_up(&welcome),
            LinkEvent::Down(why) => self.on_down(&why),
            LinkEvent::Frame(AgentFrame::Journal { offset, bytes }) => self.on_journal(offset, bytes),
            LinkEvent::Frame(AgentFrame::Snapshot(frame)) => self.on_snapshot(frame),
            LinkEvent::Frame(AgentFrame::InputAck { terminal, writer, seq }) => {
                self.inputs.acked(terminal, writer, seq);
                self.acknowledge(terminal, writer, seq);
            }
            LinkEvent::Frame(_) => self.break_off(LinkError::Protocol("a frame that only we may send".into())),
            LinkEvent::Text(FromAgent::Beat { now_us }) => {
                self.status.send_modify(|s| s.last_us = s.last_us.max(now_us));
            }
            LinkEvent::Text(FromAgent::Done { request }) => {
                if self.checks_running.remove(&request) {
                    self.tell_checks();
                }
            }
            LinkEvent::Text(FromAgent::Refused { code, .. }) => self.on_refused(&code),
            LinkEvent::Text(FromAgent::Welcome(_)) => self.break_off(LinkError::Protocol("a second welcome".into())),
        }
        // what was out of protocol has ended the line
        if heard && self.link.is_up() {
            self.link.proven();
        }
    }

    fn break_off(&mut self, why: LinkError) {
        if let LinkEvent::Down(why) = self.link.down(why) {
            self.on_down(&why);
        }
    }

    fn on_down(&mut self, why: &LinkError) {
        self.metrics.errors_total.with_label_values(&[why.code()]).inc();
        if self.status.borrow().connected {
            tracing::warn!(session = %self.session, code = why.code(), error = %why, "agent connection lost");
        }
        for c in &mut self.consoles {
            c.asked = None;
            c.snapshot = None;
            c.screens.clear();
        }
        self.set_status(|s| (s.connected, s.frozen) = (false, None));
        self.tell_away();
    }

    fn on_up(&mut self, w: &Welcome) {
        if w.terminals.len() != self.consoles.len() {
            return self.break_off(LinkError::Protocol(format!(
                "{} terminals instead of {}",
                w.terminals.len(),
                self.consoles.len()
            )));
        }
        if self.reader.boot.as_ref().is_some_and(|boot| *boot != w.boot) {
            self.start_over();
        }
        self.reader.boot = Some(w.boot.clone());
        let skips = self.reader.skip;
        let from = self.follow_from(w);
        self.reader.reset();
        self.reader.welcomed = w.journal_end;
        for (c, t) in self.consoles.iter_mut().zip(&w.terminals) {
            (c.cols, c.rows, c.exited) = (t.cols, t.rows, t.exited);
            c.seat.clone_from(&t.seat);
            c.credit = u64::MAX;
            c.total = t.offset;
            if skips {
                c.ring = Some(Ring::at(t.offset));
            }
        }
        // written before this process looked: a wall has a picture to take all the same
        let written = w.terminals.iter().map(|t| t.offset).sum();
        self.glance.send_modify(|g| g.output = g.output.max(written));
        self.watchers = w.viewers.iter().map(|j| (j.viewer.clone(), j.clone())).collect();
        self.link.send(&ToAgent::Follow { from });
        self.set_status(|s| {
            (s.met, s.connected, s.frozen) = (true, true, None);
            s.ready_us = s.ready_us.or(w.ready_us);
            s.met_us = s.met_us.or(Some(w.now_us));
            s.last_us = s.last_us.max(w.now_us);
        });
        self.tell_away();
        if skips {
            (0..w.terminals.len() as TerminalIndex).for_each(|terminal| self.resync_all(terminal));
        }
        self.restore();
        for outcome in &w.checks {
            self.on_check(outcome, false);
        }
        self.checks_running.clear();
        self.tell_terminals();
        self.tell_viewers();
        self.tell_checks();
        self.refilled_up_to(from);
    }

    /// Where the journal is to be followed from: what the recorder lacks, and, until screens can be placed, their last output.
    fn follow_from(&mut self, w: &Welcome) -> u64 {
        let view = self.recorder.as_ref().map(RecorderHandle::view);
        if std::mem::take(&mut self.reader.skip) {
            self.fed = w.journal_end;
            self.reader.live = w.journal_end;
            return w.journal_end;
        }
        if self.reader.refilled {
            return if self.recorder.is_some() && !self.behind {
                self.fed.min(self.reader.live)
            } else {
                self.reader.live
            };
        }
        self.reader.live = w.journal_end;
        self.consoles.iter_mut().for_each(|c| c.ring = None);
        match view {
            Some(view) => {
                self.fed = view.next;
                view.ring_from.min(view.next)
            }
            None => 0,
        }
    }

    /// What belongs to a connection and is asked for again on a new one.
    fn restore(&mut self) {
        if let Some(view) = self.recorder.as_ref().map(RecorderHandle::view) {
            self.link.frame(&AgentFrame::Durable {
                epoch: view.epoch,
                offset: view.next,
            });
        }
        let ids: Vec<_> = self.attachments.keys().copied().collect();
        for id in &ids {
            self.join(*id);
        }
        for id in ids {
            self.take_wanted_seats(id);
        }
        let again: Vec<_> = self.inputs.again().collect();
        for frame in &again {
            self.link.frame(frame);
        }
        for terminal in 0..self.consoles.len() as TerminalIndex {
            if self.is_awaited(terminal) {
                self.request_snapshot(terminal);
            }
            self.credit(terminal);
        }
        if let Some(reason) = self.stopping.clone() {
            self.link.send(&ToAgent::Stop { reason });
        }
    }

    /// Another agent answers than before: a new sandbox, with a journal of its own.
    fn start_over(&mut self) {
        tracing::error!(session = %self.session, "the agent was restarted: its journal is gone");
        self.metrics.errors_total.with_label_values(&["agent-restarted"]).inc();
        self.cut("agent-restarted");
        self.reader = super::journal_reader::JournalReader::default();
        for c in &mut self.consoles {
            *c = super::console::Console::new(c.id.clone());
        }
        for a in self.attachments.values_mut() {
            a.views
                .values_mut()
                .for_each(|v| v.phase = super::attachment::Phase::Placing { from: None });
        }
    }

    fn on_journal(&mut self, offset: u64, bytes: Bytes) {
        let end = offset.saturating_add(bytes.len() as u64);
        if !self.reader.push(offset, bytes) {
            return self.break_off(LinkError::Protocol(format!("journal went back to {offset}")));
        }
        let mut touched = BTreeSet::new();
        let mut last_us = 0;
        let before = self.reader.ended();
        let broken = loop {
            match self.reader.next_record() {
                Ok(Some((at, record))) => {
                    last_us = record.time_us;
                    self.on_record(at, record, &mut touched);
                }
                Ok(None) => break None,
                Err(e) => break Some(e),
            }
        };
        self.feed_whole(last_us, before != self.reader.ended());
        if let Some(end) = self
            .reader
            .ended()
            .filter(|_| before.is_none() && self.recorder.is_some())
        {
            self.feed.push_back(Feed::Ended(end));
        }
        if self.reader.taken_is_news(end) {
            self.link.frame(&AgentFrame::Taken { offset: end });
        }
        self.status.send_modify(|s| s.last_us = s.last_us.max(last_us));
        self.refilled_up_to(self.reader.offset());
        for terminal in touched {
            self.pump_terminal(terminal);
        }
        if self.reader.ended().is_some_and(|end| self.is_durable(end)) {
            self.stop_answer();
        }
        if let Some(e) = broken {
            self.on_corrupt(&e);
        }
    }

    /// A damaged line is tried once more; a journal damaged at the same place twice is given up to there.
    fn on_corrupt(&mut self, e: &JournalError) {
        self.metrics.errors_total.with_label_values(&["journal-corrupt"]).inc();
        tracing::error!(session = %self.session, at = e.at(), error = %e, "corrupt journal from the agent");
        if self.reader.corrupt_at.replace(e.at()) == Some(e.at()) {
            self.cut("journal-corrupt");
            self.reader.skip = true;
        }
        self.break_off(LinkError::Protocol(e.to_string()));
    }

    fn on_record(&mut self, at: u64, record: Record, touched: &mut BTreeSet<TerminalIndex>) {
        let fresh = at >= self.reader.live;
        let after_welcome = at >= self.reader.welcomed;
        let Record {
            terminal,
            time_us,
            offset,
            event,
        } = record;
        if fresh {
            self.reader.live = self.reader.offset();
        }
        match event {
            Event::Lab(event) => return self.on_lab(at, event, time_us),
            Event::Check(outcome) if fresh => {
                self.on_check(&outcome, true);
                return self.tell_checks();
            }
            Event::Join(join) if after_welcome => {
                if join.here {
                    self.watchers.insert(join.viewer.clone(), join);
                } else {
                    self.watchers.remove(&join.viewer);
                }
                return self.tell_viewers();
            }
            _ => {}
        }
        let Some(c) = self
            .consoles
            .get_mut(terminal as usize)
            .filter(|_| terminal != WHOLE_SESSION)
        else {
            return;
        };
        match event {
            Event::Output(bytes) if offset < u64::MAX / 2 => {
                let len = bytes.len() as u64;
                let missed = c.output(offset, &bytes);
                let started_again = after_welcome && c.exited.take().is_some();
                touched.insert(terminal);
                if fresh {
                    self.glance.send_modify(|g| {
                        g.output += len;
                        g.terminal = terminal;
                    });
                }
                if missed {
                    self.resync_all(terminal);
                }
                if started_again {
                    self.tell_terminals();
                }
            }
            Event::Resize { cols, rows } => {
                if after_welcome {
                    (c.cols, c.rows) = (cols, rows);
                }
                c.mark(Mark {
                    offset,
                    journal: at,
                    notice: ToBrowser::Resize {
                        terminal,
                        cols,
                        rows,
                        offset,
                    },
                });
                touched.insert(terminal);
            }
            Event::Exit { status } => {
                if after_welcome {
                    c.exited = Some(status);
                }
                c.mark(Mark {
                    offset,
                    journal: at,
                    notice: ToBrowser::Exit { terminal, status },
                });
                touched.insert(terminal);
            }
            Event::Command(command) if fresh => self.on_command_record(terminal, command, time_us),
            Event::Seat(seat) if after_welcome => self.on_seat(terminal, seat),
            _ => {}
        }
    }

    /// A command was entered, or has ended. Only what the learner enters is progress: a ping that ends by itself after ten minutes says
    /// nothing of them, and what a teacher types at their console hides that they are stuck.
    fn on_command_record(&mut self, terminal: TerminalIndex, command: Command, at_us: u64) {
        let entered = command.status.is_none() && command.took_us.is_none();
        let helped = self.consoles[terminal as usize]
            .seat
            .as_ref()
            .is_some_and(|s| s.role != LEARNER);
        if entered {
            let now = self.ports.clock.now();
            self.glance.send_modify(|g| {
                g.last_command = Some(command.text.clone());
                g.terminal = terminal;
                if !helped && !command.text.trim().is_empty() {
                    g.progress_at = Some(now);
                }
            });
        }
        self.tell_all(&ToBrowser::Command {
            terminal,
            command,
            at_us,
        });
    }

    fn on_seat(&mut self, terminal: TerminalIndex, seat: Seat) {
        let c = &mut self.consoles[terminal as usize];
        if c.asked.as_ref().is_some_and(|asked| asked.writer == seat.writer) {
            c.asked = None;
        }
        c.seat = Some(seat).filter(|s| !s.writer.is_empty());
        // the agent lifts the limit when the seat moves
        c.credit = u64::MAX;
        self.tell_seat(terminal);
        self.credit(terminal);
        self.pump_terminal(terminal);
    }

    fn on_check(&mut self, outcome: &CheckOutcome, ran_now: bool) {
        let known = self.outcomes.iter_mut().find(|o| o.check == outcome.check);
        let newly_passed = outcome.passed && known.as_ref().is_none_or(|o| !o.passed);
        match known {
            Some(o) if o == outcome && !ran_now => return,
            Some(o) => *o = outcome.clone(),
            // the agent is not trusted to invent checks
            None if self.lab.checks.contains(&outcome.check) => self.outcomes.push(outcome.clone()),
            None => return,
        }
        if newly_passed && ran_now {
            let now = self.ports.clock.now();
            self.glance.send_modify(|g| g.progress_at = Some(now));
        }
        self.publish_checks();
        self.keep(outcome.clone());
    }

    /// Writes an outcome to the store, in the background; a store that is away for a minute loses none.
    fn keep(&mut self, outcome: CheckOutcome) {
        if self.writes.len() >= WRITES_MAX {
            self.metrics.errors_total.with_label_values(&["checks-dropped"]).inc();
            return;
        }
        let (store, session, at) = (self.ports.store.clone(), self.session, self.ports.clock.now());
        let errors = self.metrics.errors_total.clone();
        let write = async move {
            for attempt in 0..10 {
                match store.check_record(session, &outcome, at).await {
                    Ok(()) => return,
                    Err(e) => errors.with_label_values(&[e.code()]).inc(),
                }
                tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            }
            tracing::error!(%session, check = %outcome.check, "check outcome not stored");
        };
        self.writes.push(write.boxed());
    }

    fn on_lab(&mut self, at: u64, event: LabEvent, time_us: u64) {
        if at < self.reader.lab_seen {
            return;
        }
        self.reader.lab_seen = self.reader.offset();
        match event {
            LabEvent::Starting => {}
            LabEvent::Progress { step } => self.set_status(|s| {
                if s.steps.len() >= STEPS_MAX {
                    s.steps.remove(0);
                }
                s.steps.push(step);
            }),
            LabEvent::Ready => self.set_status(|s| s.ready_us = s.ready_us.or(Some(time_us))),
            LabEvent::Failed { code, detail } => self.set_status(|s| s.failed = Some((code, detail))),
            LabEvent::Exited { status } => self.set_status(|s| s.exited = Some(status)),
            LabEvent::Stopping { .. } => {
                self.reader.set_ended();
                self.set_status(|s| s.stopped_us = Some(time_us));
            }
        }
    }

    /// A refusal names no writer: it is about those whose input cannot have been taken.
    fn on_refused(&mut self, code: &str) {
        self.metrics.errors_total.with_label_values(&["agent-refused"]).inc();
        let dropped = match code {
            "no-seat" => {
                let holders: Vec<Option<WriterId>> =
                    self.consoles.iter().map(super::console::Console::writer).collect();
                self.inputs
                    .refuse(|t, w, _| holders.get(t as usize).copied().flatten() != Some(w))
            }
            "input-order" => self.inputs.refuse(|_, _, acked| acked.is_none()),
            _ => Vec::new(),
        };
        for (_, writer) in dropped {
            self.tell_writer(writer, &refusal(code));
        }
    }
}
