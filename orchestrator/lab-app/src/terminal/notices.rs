//! What browsers are told, and the words of it.

use super::{
    api::{FromHub, HubStatus},
    attachment::AttachmentId,
    hub::Hub,
    seats::seat_notice,
};
use lab_core::{
    TerminalIndex, WriterId,
    agent::ToAgent,
    port::Session,
    provisioning::SessionState,
    recording::TOO_LARGE,
    terminal::{SessionNotice, TerminalNotice, ToBrowser, ViewerNotice},
};
use std::collections::BTreeSet;

/// Where a session stands, as stored, before anybody told more.
pub(super) fn first_session_notice(row: &Session) -> SessionNotice {
    SessionNotice {
        session: row.id,
        state: row.state.name().to_owned(),
        reason: row.state.reason().map(str::to_owned),
        detail: match &row.state {
            SessionState::Failed { detail, .. } => Some(detail.clone()),
            _ => None,
        },
        steps: Vec::new(),
        queue: None,
        waiting: None,
        away: false,
    }
}

/// The recording ended before the session did.
pub(super) fn recording_notice(reason: &str) -> ToBrowser {
    let code = if reason == TOO_LARGE {
        "recording-too-large"
    } else {
        "recording"
    };
    ToBrowser::Error {
        code: code.into(),
        message: format!("this session is no longer recorded ({reason}); what was recorded until now is kept"),
    }
}

/// A refusal, by its public code.
pub(super) fn refusal(code: &str) -> ToBrowser {
    let message = match code {
        "no-seat" => "someone else has the keyboard of this terminal; take it first",
        "input-order" => "typed input arrived out of order and was not applied; type it again",
        "away" => "the lab cannot be reached at the moment; try again shortly",
        "not-attached" => "this terminal is not shown in this tab; attach to it first",
        "not-allowed" => "your role may watch here, and nothing else",
        "frozen" => "the lab stands still: what is typed now is not kept",
        "no-check" => "the lab has no such check",
        "too-long" => "the label is too long: 200 characters at most",
        _ => "the lab refused this",
    };
    ToBrowser::Error {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

impl Hub {
    /// Changes what the reconciler reads, and wakes it when that matters to it: times alone do not.
    pub(super) fn set_status(&mut self, change: impl FnOnce(&mut HubStatus)) {
        let modified = self.status.send_if_modified(|s| {
            let before = s.clone();
            change(s);
            *s != before
        });
        if modified {
            self.changed.notify_one();
        }
    }

    /// Tells one tab.
    pub(super) fn tell_one(&mut self, id: AttachmentId, notice: ToBrowser) {
        let told = self
            .attachments
            .get_mut(&id)
            .map(|a| a.notify(FromHub::Control(Box::new(notice))));
        if matches!(told, Some(Err(_))) {
            self.expel(id, 4429, "notices were not taken");
        }
    }

    /// Tells every tab, each in its own words.
    fn tell_each(&mut self, words: impl Fn(&Self, AttachmentId) -> Option<ToBrowser>) {
        let ids: Vec<_> = self.attachments.keys().copied().collect();
        for id in ids {
            if let Some(notice) = words(self, id) {
                self.tell_one(id, notice);
            }
        }
    }

    pub(super) fn tell_all(&mut self, notice: &ToBrowser) {
        self.tell_each(|_, _| Some(notice.clone()));
    }

    pub(super) fn tell_writer(&mut self, writer: WriterId, notice: &ToBrowser) {
        self.tell_each(|hub, id| {
            hub.attachments
                .get(&id)
                .filter(|a| a.viewer.writer == writer)
                .map(|_| notice.clone())
        });
    }

    pub(super) fn expel_all(&mut self, ids: Vec<AttachmentId>) {
        for id in ids {
            self.expel(id, 4429, "notices were not taken");
        }
    }

    /// Everything a new tab must know.
    pub(super) fn greet(&mut self, id: AttachmentId) {
        self.tell_one(id, ToBrowser::Session(self.session_notice.clone()));
        if let Some(terminals) = self.terminals_notice(id) {
            self.tell_one(id, terminals);
        }
        self.tell_one(id, self.checks_notice());
        if let Some(viewers) = self.viewers_notice(id) {
            self.tell_one(id, viewers);
        }
        if let Some(time) = self.time_notice.clone() {
            self.tell_one(id, ToBrowser::Time(time));
        }
    }

    /// News from provisioning and metering.
    pub(super) fn tell(&mut self, notice: ToBrowser) {
        match notice {
            ToBrowser::Session(mut s) => {
                s.away = self.is_away(&s.state);
                self.session_notice = s.clone();
                self.tell_all(&ToBrowser::Session(s));
            }
            ToBrowser::Time(t) => {
                self.time_notice = Some(t.clone());
                self.tell_all(&ToBrowser::Time(t));
            }
            other => self.tell_all(&other),
        }
    }

    fn is_away(&self, state: &str) -> bool {
        self.status.borrow().met && !self.link.is_up() && matches!(state, "provisioning" | "ready" | "frozen")
    }

    /// Says so when the agent went away or came back.
    pub(super) fn tell_away(&mut self) {
        let away = self.is_away(&self.session_notice.state);
        self.glance
            .send_if_modified(|g| std::mem::replace(&mut g.away, away) != away);
        if self.session_notice.away != away {
            self.session_notice.away = away;
            self.tell_all(&ToBrowser::Session(self.session_notice.clone()));
        }
    }

    fn terminals_notice(&self, id: AttachmentId) -> Option<ToBrowser> {
        let a = self.attachments.get(&id).filter(|_| self.status.borrow().met)?;
        let terminals = self
            .consoles
            .iter()
            .map(|c| TerminalNotice {
                id: c.id.clone(),
                cols: c.cols,
                rows: c.rows,
                exited: c.exited,
                seat: seat_notice(c.seat.as_ref(), &a.viewer),
            })
            .collect();
        Some(ToBrowser::Terminals { terminals })
    }

    pub(super) fn tell_terminals(&mut self) {
        self.tell_each(Self::terminals_notice);
    }

    pub(super) fn tell_seat(&mut self, terminal: TerminalIndex) {
        self.tell_each(|hub, id| {
            let seat = seat_notice(
                hub.consoles[terminal as usize].seat.as_ref(),
                &hub.attachments.get(&id)?.viewer,
            );
            Some(ToBrowser::Seat { terminal, seat })
        });
    }

    fn checks_notice(&self) -> ToBrowser {
        ToBrowser::Checks {
            outcomes: self.outcomes.clone(),
            running: !self.checks_running.is_empty(),
        }
    }

    pub(super) fn tell_checks(&mut self) {
        let notice = self.checks_notice();
        self.tell_all(&notice);
    }

    /// For the wall.
    pub(super) fn publish_checks(&mut self) {
        self.glance.send_modify(|g| g.outcomes.clone_from(&self.outcomes));
    }

    /// Who watches, other than this tab; a person with two tabs once.
    fn viewers_notice(&self, id: AttachmentId) -> Option<ToBrowser> {
        let own = self.attachments.get(&id)?.key.as_ref();
        let others: BTreeSet<(&str, &str)> = self
            .watchers
            .values()
            .filter(|j| Some(&j.viewer) != own)
            .map(|j| (j.name.as_str(), j.role.as_str()))
            .collect();
        let viewers = others.into_iter().map(|(name, role)| ViewerNotice {
            name: name.into(),
            role: role.into(),
        });
        Some(ToBrowser::Viewers {
            viewers: viewers.collect(),
        })
    }

    pub(super) fn tell_viewers(&mut self) {
        let names: BTreeSet<_> = self.watchers.values().map(|j| j.name.clone()).collect();
        self.glance.send_modify(|g| g.viewers = names.into_iter().collect());
        self.tell_each(Self::viewers_notice);
    }

    /// Tells the agent, and through its journal the learner, that someone watches. Under a new name each time: the leaving that
    /// the agent writes when the last connection ends may come after the joining on this one.
    pub(super) fn join(&mut self, id: AttachmentId) {
        let Some(a) = self
            .attachments
            .get_mut(&id)
            .filter(|a| !a.viewer.owner && self.link.is_up())
        else {
            return;
        };
        self.joins += 1;
        let viewer = format!("{}-{:08x}-{}", a.viewer.login, self.nonce, self.joins);
        a.key = Some(viewer.clone());
        let (name, role) = (a.viewer.name.clone(), a.viewer.role.name().to_owned());
        self.link.send(&ToAgent::Join { viewer, name, role });
    }

    /// Tells a writer's tabs that its input is in the shell.
    pub(super) fn acknowledge(&mut self, terminal: TerminalIndex, writer: WriterId, seq: u64) {
        let mut overflowed = Vec::new();
        for (&id, a) in &mut self.attachments {
            let shows = a.viewer.writer == writer && a.views.contains_key(&terminal);
            if shows && a.notify(FromHub::InputAck { terminal, seq }).is_err() {
                overflowed.push(id);
            }
        }
        self.expel_all(overflowed);
    }
}
