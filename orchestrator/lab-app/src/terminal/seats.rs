//! The right to type: one writer per terminal.
//!
//! A learner's tab takes the seat when it is free or held by another tab of the same learner. A teacher takes it only by
//! asking for it, and the learner can take it back at any time. When a helper leaves, the seat goes back to the learner. The
//! agent is the arbiter: what it writes into the journal is so.

use super::{api::Viewer, attachment::AttachmentId, hub::Hub, notices::refusal};
use lab_core::{
    TerminalIndex,
    agent::ToAgent,
    journal::Seat,
    launch::Role,
    limits::{COLS_MAX, ROWS_MAX},
    terminal::SeatNotice,
};

/// What others see of a seat's holder.
fn seat_of(viewer: &Viewer) -> Seat {
    let (name, role) = if viewer.owner {
        (Role::Learner.name().to_owned(), Role::Learner)
    } else {
        (viewer.name.clone(), viewer.role)
    };
    Seat {
        writer: viewer.writer.to_string(),
        name,
        role: role.name().to_owned(),
    }
}

/// A seat as one tab sees it.
pub(super) fn seat_notice(seat: Option<&Seat>, viewer: &Viewer) -> SeatNotice {
    let writer = viewer.writer.to_string();
    match seat {
        None => SeatNotice {
            holder: "nobody".into(),
            name: String::new(),
            role: String::new(),
        },
        Some(s) if s.writer == writer => SeatNotice {
            holder: "you".into(),
            name: s.name.clone(),
            role: s.role.clone(),
        },
        Some(s) => SeatNotice {
            holder: "other".into(),
            name: s.name.clone(),
            role: s.role.clone(),
        },
    }
}

impl Hub {
    /// Asks the agent to give the seat to this writer, or to nobody.
    fn move_seat(&mut self, terminal: TerminalIndex, seat: Seat) {
        let Some(c) = self.consoles.get_mut(terminal as usize).filter(|_| self.link.is_up()) else {
            return;
        };
        c.asked = Some(seat.clone());
        // the agent lifts the limit when the seat moves
        c.credit = u64::MAX;
        self.link.send(&ToAgent::Seat { terminal, seat });
    }

    /// Takes the seats that a learner's tab wants and may have without asking anyone.
    pub(super) fn take_wanted_seats(&mut self, id: AttachmentId) {
        let Some(a) = self.attachments.get(&id).filter(|a| a.viewer.owner) else {
            return;
        };
        let viewer = a.viewer.clone();
        let wanted: Vec<_> = a
            .views
            .iter()
            .filter(|(_, v)| v.wants_seat)
            .map(|(t, v)| (*t, v.cols, v.rows))
            .collect();
        for (terminal, cols, rows) in wanted {
            let c = &self.consoles[terminal as usize];
            let mine = c.writer() == Some(viewer.writer);
            if !mine && c.holder().is_none_or(|s| s.role == Role::Learner.name()) {
                self.move_seat(terminal, seat_of(&viewer));
            }
            self.resize(id, terminal, cols, rows);
        }
    }

    /// A tab asks for the seat, or gives it back.
    pub(super) fn on_seat_asked(&mut self, id: AttachmentId, terminal: TerminalIndex, take: bool) {
        let Some(a) = self.attachments.get_mut(&id) else { return };
        let viewer = a.viewer.clone();
        let allowed = viewer.may_type;
        if !allowed || !self.link.is_up() {
            return self.tell_one(id, refusal(if allowed { "away" } else { "no-seat" }));
        }
        let Some(view) = a.views.get_mut(&terminal) else {
            return self.tell_one(id, refusal("not-attached"));
        };
        let (cols, rows) = (view.cols, view.rows);
        // another tab of the learner that takes the seat is not to be outdone by the next reconnect of this one
        view.wants_seat = take;
        if take {
            if self.consoles[terminal as usize].writer() != Some(viewer.writer) {
                self.move_seat(terminal, seat_of(&viewer));
            }
            if viewer.owner {
                self.resize(id, terminal, cols, rows);
            }
        } else {
            self.give_back(terminal, &viewer);
        }
    }

    /// A tab shows a terminal no more.
    pub(super) fn vacate(&mut self, terminal: TerminalIndex, viewer: &Viewer) {
        let elsewhere = self
            .attachments
            .values()
            .any(|a| a.viewer.writer == viewer.writer && a.views.contains_key(&terminal));
        // a learner's seat waits for the tab's next connection; a helper's goes back
        if !viewer.owner && !elsewhere {
            self.give_back(terminal, viewer);
        }
        self.credit(terminal);
    }

    /// If `viewer` has the seat: to the learner's newest tab that shows the terminal, else to nobody.
    fn give_back(&mut self, terminal: TerminalIndex, viewer: &Viewer) {
        let Some(c) = self.consoles.get(terminal as usize) else {
            return;
        };
        if c.writer() != Some(viewer.writer) {
            return;
        }
        let learner = self.attachments.values().rev().find(|a| {
            a.viewer.owner && a.viewer.writer != viewer.writer && a.views.get(&terminal).is_some_and(|v| v.wants_seat)
        });
        let nobody = Seat {
            writer: String::new(),
            name: String::new(),
            role: String::new(),
        };
        let seat = learner.map_or(nobody, |a| seat_of(&a.viewer));
        self.move_seat(terminal, seat);
        self.credit(terminal);
    }

    /// Sets a terminal's size, which only the seat's tab may.
    pub(super) fn resize(&mut self, id: AttachmentId, terminal: TerminalIndex, cols: u16, rows: u16) {
        let Some(a) = self.attachments.get_mut(&id) else { return };
        let writer = a.viewer.writer;
        if let Some(view) = a.views.get_mut(&terminal) {
            (view.cols, view.rows) = (cols, rows);
        }
        let c = &self.consoles[terminal as usize];
        let (cols, rows) = (cols.clamp(1, COLS_MAX), rows.clamp(1, ROWS_MAX));
        if c.writer() == Some(writer) && (c.cols, c.rows) != (cols, rows) {
            self.link.send(&ToAgent::Resize {
                terminal,
                writer: writer.to_string(),
                cols,
                rows,
            });
        }
    }
}
