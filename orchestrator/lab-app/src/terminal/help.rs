//! What a helper does to a learner's lab is written down before it is done: once for each time that they look in, by the first thing they do.
//! What cannot be written is not done, like a look that cannot be.

use super::{attachment::AttachmentId, hub::Hub, notices::refusal};
use futures_util::FutureExt;
use lab_core::{TerminalIndex, port::AuditEvent, terminal::FromBrowser};
use std::time::Duration;

/// Requests of one helper that wait for that line to be written: somebody who takes the keyboard of each of four terminals, runs a check and
/// sets a mark meanwhile, and two more. Further ones are refused.
const HELD_MAX: usize = 8;

/// Tries of a write, and the first pause between them, which doubles: a store that is away for a second loses nobody's help, and who
/// asked is told within two.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of an attachment's help.
#[derive(Debug, Default)]
pub(super) enum Help {
    /// It has only looked so far.
    #[default]
    None,
    /// The line is being written; these wait for it, in order.
    Writing(Vec<FromBrowser>),
    Written,
}

impl Hub {
    /// Whether a request waits until it is written down that somebody helps. It comes again by [`Hub::on_help_written`].
    pub(super) fn holds(&mut self, id: AttachmentId, message: &FromBrowser) -> bool {
        let Some((terminal, what)) = deed(message) else {
            return false;
        };
        let up = self.link.is_up();
        let Some(a) = self.attachments.get_mut(&id) else {
            return true;
        };
        match &mut a.help {
            Help::Writing(held) if held.len() < HELD_MAX => held.push(message.clone()),
            Help::Writing(_) => self.tell_one(id, refusal("away")),
            Help::Written => return false,
            // a learner acts on what is theirs, and what is refused anyway is not help
            Help::None if a.viewer.owner || !a.viewer.may_type || !up || what.is_empty() => return false,
            Help::None => {
                a.help = Help::Writing(vec![message.clone()]);
                self.write_help(id, terminal, what);
            }
        }
        true
    }

    fn write_help(&mut self, id: AttachmentId, terminal: Option<TerminalIndex>, what: &str) {
        let Some(a) = self.attachments.get(&id) else { return };
        let console = terminal.and_then(|t| self.consoles.get(t as usize));
        let event = AuditEvent {
            at: self.ports.clock.now(),
            actor: a.viewer.subject.clone(),
            actor_name: a.viewer.name.clone(),
            role: a.viewer.role,
            action: "help".to_owned(),
            session: Some(self.session),
            course: None,
            about: None,
            detail: console.map_or_else(|| what.to_owned(), |c| format!("{what} {}", c.id)),
        };
        let (store, errors) = (self.ports.store.clone(), self.metrics.errors_total.clone());
        let write = async move {
            for attempt in 0..TRIES {
                match store.audit_append(&event).await {
                    Ok(()) => return (id, true),
                    Err(e) => errors.with_label_values(&[e.code()]).inc(),
                }
                tokio::time::sleep(PAUSE * (1 << attempt)).await;
            }
            (id, false)
        };
        self.helps.push(write.boxed());
    }

    /// The line is there, or cannot be written now: then the next request tries again.
    pub(super) fn on_help_written(&mut self, id: AttachmentId, written: bool) {
        let Some(a) = self.attachments.get_mut(&id) else { return };
        let now = if written { Help::Written } else { Help::None };
        let Help::Writing(held) = std::mem::replace(&mut a.help, now) else {
            return;
        };
        for message in held {
            if written {
                self.on_control(id, message);
            } else {
                self.tell_one(id, refusal("away"));
            }
        }
    }
}

/// What of a request is done to the lab, and in which terminal. To give the keyboard back is no help, and stays behind what was asked before.
fn deed(message: &FromBrowser) -> Option<(Option<TerminalIndex>, &'static str)> {
    match message {
        FromBrowser::Seat { terminal, take: true } => Some((Some(*terminal), "seat")),
        FromBrowser::Seat { terminal, take: false } => Some((Some(*terminal), "")),
        FromBrowser::Restart { terminal } => Some((Some(*terminal), "restart")),
        FromBrowser::Marker { terminal, .. } => Some((Some(*terminal), "marker")),
        FromBrowser::Check { .. } => Some((None, "check")),
        FromBrowser::Attach { .. }
        | FromBrowser::Detach { .. }
        | FromBrowser::Resize { .. }
        | FromBrowser::Ping { .. } => None,
    }
}
