//! What the hub hears from browsers: checked before anything is done with it.

use super::{
    api::ToHub,
    attachment::{AttachmentId, Phase, View},
    hub::Hub,
    inputs::Took,
    limits::{MARKER_CHARS_MAX, TOLD_STILL_EVERY},
    notices::refusal,
};
use bytes::Bytes;
use lab_core::{
    CheckId, TerminalIndex,
    agent::{AgentFrame, ToAgent},
    limits::INPUT_BYTES_MAX,
    terminal::{FromBrowser, ToBrowser, Window},
};

impl Hub {
    pub(super) fn on_browser(&mut self, id: AttachmentId, message: ToHub) {
        let terminal = match &message {
            ToHub::Input { terminal, .. } | ToHub::Drawn { terminal, .. } => Some(*terminal),
            ToHub::Control(c) => match c {
                FromBrowser::Attach { terminal, .. }
                | FromBrowser::Detach { terminal }
                | FromBrowser::Resize { terminal, .. }
                | FromBrowser::Seat { terminal, .. }
                | FromBrowser::Restart { terminal }
                | FromBrowser::Marker { terminal, .. } => Some(*terminal),
                FromBrowser::Check { .. } | FromBrowser::Ping { .. } => None,
            },
        };
        if !self.attachments.contains_key(&id) {
            // it was expelled; what it had queued is nothing to us
            return;
        }
        if terminal.is_some_and(|t| t as usize >= self.consoles.len()) {
            return self.expel(id, 4400, "no such terminal");
        }
        match message {
            ToHub::Control(control) => self.on_control(id, control),
            ToHub::Input { terminal, seq, bytes } => self.on_input(id, terminal, seq, &bytes),
            ToHub::Drawn { terminal, offset } => self.on_drawn(id, terminal, offset),
        }
    }

    pub(super) fn on_control(&mut self, id: AttachmentId, message: FromBrowser) {
        if self.holds(id, &message) {
            return;
        }
        match message {
            FromBrowser::Attach {
                terminal,
                from,
                seat,
                cols,
                rows,
            } => {
                self.show(id, terminal, from, seat, (cols, rows));
            }
            FromBrowser::Detach { terminal } => {
                let Some(a) = self.attachments.get_mut(&id) else { return };
                let viewer = a.viewer.clone();
                if a.views.remove(&terminal).is_some() {
                    self.vacate(terminal, &viewer);
                }
            }
            FromBrowser::Resize { terminal, cols, rows } => self.resize(id, terminal, cols, rows),
            FromBrowser::Seat { terminal, take } => self.on_seat_asked(id, terminal, take),
            FromBrowser::Restart { terminal } => {
                if self.may_act(id) {
                    self.link.send(&ToAgent::Restart { terminal });
                }
            }
            FromBrowser::Check { check } => self.on_check_asked(id, check),
            FromBrowser::Marker { terminal, label } => {
                if label.chars().count() > MARKER_CHARS_MAX {
                    self.tell_one(id, refusal("too-long"));
                } else if self.may_act(id) {
                    self.link.send(&ToAgent::Marker { terminal, label });
                }
            }
            FromBrowser::Ping { t } => self.tell_one(id, ToBrowser::Pong { t }),
        }
    }

    /// The learner, and who may help with this lab, may act on it while it can be reached; says why when not.
    fn may_act(&mut self, id: AttachmentId) -> bool {
        let allowed = self
            .attachments
            .get(&id)
            .is_some_and(|a| a.viewer.owner || a.viewer.may_type);
        let up = self.link.is_up();
        if !(allowed && up) {
            self.tell_one(id, refusal(if allowed { "away" } else { "not-allowed" }));
        }
        allowed && up
    }

    fn show(&mut self, id: AttachmentId, terminal: TerminalIndex, from: Option<u64>, seat: bool, size: (u16, u16)) {
        let now_us = self.ports.clock.monotonic_us();
        let Some(a) = self.attachments.get_mut(&id) else { return };
        let view = View {
            phase: Phase::Placing { from },
            sent: 0,
            mark: 0,
            window: Window::new(0, now_us),
            wants_seat: seat && a.viewer.owner,
            cols: size.0,
            rows: size.1,
        };
        a.views.insert(terminal, view);
        if self.link.is_up() {
            self.take_wanted_seats(id);
        }
        self.place(id, terminal);
    }

    fn on_check_asked(&mut self, id: AttachmentId, check: Option<CheckId>) {
        if check.as_ref().is_some_and(|c| !self.lab.checks.contains(c)) {
            return self.tell_one(id, refusal("no-check"));
        }
        // one run at a time: what is asked meanwhile would only queue up in the lab
        if !self.may_act(id) || !self.checks_running.is_empty() {
            return;
        }
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        self.checks_running.insert(request);
        self.link.send(&ToAgent::Check {
            request,
            checks: check.into_iter().collect(),
        });
        self.tell_checks();
    }

    /// A lab that stands still says so to who types, but not for every key.
    fn tell_still(&mut self, id: AttachmentId) {
        let now_us = self.ports.clock.monotonic_us();
        let Some(a) = self.attachments.get_mut(&id) else { return };
        let lately = |at_us: u64| now_us.saturating_sub(at_us) < TOLD_STILL_EVERY.as_micros() as u64;
        if !a.told_still_us.is_some_and(lately) {
            a.told_still_us = Some(now_us);
            self.tell_one(id, refusal("frozen"));
        }
    }

    fn on_input(&mut self, id: AttachmentId, terminal: TerminalIndex, seq: u64, bytes: &Bytes) {
        let Some(a) = self.attachments.get(&id) else { return };
        let writer = a.viewer.writer;
        if bytes.len() > INPUT_BYTES_MAX || seq == 0 {
            return self.expel(id, 4400, "input is too long or has no number");
        }
        let met = self.status.borrow().met;
        if met && self.consoles[terminal as usize].writer() != Some(writer) {
            return self.tell_one(id, refusal("no-seat"));
        }
        // a lab that stands still is given nothing to go on with. The number is used all the same, or the next key would leave a hole
        let still = self.session_notice.state == "frozen";
        let bytes = if still { &Bytes::new() } else { bytes };
        if still {
            self.tell_still(id);
        } else {
            let now = self.ports.clock.now();
            self.status.send_modify(|s| s.active_at = Some(now));
        }
        match self.inputs.take(terminal, writer, seq, bytes) {
            Took::Forward => {
                self.link.frame(&AgentFrame::Input {
                    terminal,
                    writer,
                    seq,
                    bytes: bytes.clone(),
                });
            }
            Took::Acknowledge(seq) => self.acknowledge(terminal, writer, seq),
            Took::Known => {}
            Took::Hole => self.expel(id, 4400, "input numbers have a hole"),
            Took::Full => self.expel(id, 4429, "too much input waits for the lab"),
        }
    }
}
