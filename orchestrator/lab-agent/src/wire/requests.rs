//! What a connection may ask, and what is refused.

use super::{Refusal, outbox::Outbox};
use crate::{
    agent::Agent,
    lab::checks,
    screen::Depth,
    terminal::{Terminal, Typed},
};
use bytes::Bytes;
use lab_core::{
    TerminalIndex, WHOLE_SESSION, WriterId,
    agent::{AgentFrame, SnapshotFrame, ToAgent},
    journal::{Event, Join, Seat},
    limits::{COLS_MAX, INPUT_BYTES_MAX, ROWS_MAX},
};
use std::rc::Rc;

/// A name, role or viewer id: shown on one line.
const NAME_BYTES_MAX: usize = 256;
/// A marker's label or a reason: a sentence or two.
const LABEL_BYTES_MAX: usize = 1024;
/// Viewers through one connection: two classes on the same replica.
const VIEWERS_MAX: usize = 128;

type Done = Result<(), Refusal>;

/// The number under which a message is answered.
pub fn number(message: &ToAgent) -> Option<u32> {
    match message {
        ToAgent::Snapshot { request, .. } | ToAgent::Check { request, .. } => Some(*request),
        _ => None,
    }
}

/// Does what a JSON message asks.
pub fn text(agent: &Agent, outbox: &Outbox, message: ToAgent) -> Done {
    match message {
        ToAgent::Hello { .. } => Err(Refusal::breach("`hello` comes once, first".into())),
        ToAgent::Follow { from } => follow(agent, outbox, from),
        ToAgent::Snapshot { terminal, .. } => find(agent, terminal).map(drop),
        ToAgent::Resize {
            terminal,
            writer,
            cols,
            rows,
        } => resize(agent, terminal, &writer, (cols, rows)),
        ToAgent::Seat { terminal, seat } => give_seat(agent, terminal, seat),
        ToAgent::Join { viewer, name, role } => join(
            agent,
            outbox,
            Join {
                viewer,
                name,
                role,
                here: true,
            },
        ),
        ToAgent::Leave { viewer } => {
            leave(agent, outbox, &viewer);
            Ok(())
        }
        ToAgent::Restart { terminal } => restart(agent, terminal),
        ToAgent::Check { request, checks } => checks::ask(agent, outbox.id, request, &checks),
        ToAgent::Marker { terminal, label } => marker(agent, terminal, &label),
        ToAgent::Freeze => {
            agent.freeze();
            Ok(())
        }
        ToAgent::Thaw => {
            agent.thaw();
            Ok(())
        }
        ToAgent::Stop { reason } => {
            bounded("reason", &reason, LABEL_BYTES_MAX)?;
            agent.ask_stop(&reason);
            Ok(())
        }
    }
}

/// Does what a binary frame asks.
pub fn frame(agent: &Agent, outbox: &Outbox, frame: AgentFrame) -> Done {
    match frame {
        AgentFrame::Input {
            terminal,
            writer,
            seq,
            bytes,
        } => input(agent, outbox, terminal, writer, seq, bytes),
        AgentFrame::Credit {
            terminal,
            writer,
            limit,
        } => {
            let terminal = find(agent, terminal)?;
            // one that lost the seat a moment ago has nothing to say, and nothing wrong done
            if terminal.has_seat(writer) {
                terminal.set_credit(outbox.id, limit);
            }
            Ok(())
        }
        AgentFrame::Durable { epoch, offset } => {
            agent.durable(epoch, offset);
            Ok(())
        }
        AgentFrame::Taken { offset } => {
            outbox.taken(offset);
            Ok(())
        }
        AgentFrame::Journal { .. } | AgentFrame::Snapshot(_) | AgentFrame::InputAck { .. } => {
            Err(Refusal::breach("only an agent sends this frame".into()))
        }
    }
}

/// Draws a terminal and sends it in order with the journal. The terminal exists.
pub async fn snapshot(agent: Rc<Agent>, outbox: Rc<Outbox>, request: u32, index: TerminalIndex) {
    let Some(terminal) = agent.terminal(index) else { return };
    // offset, journal offset and screen are of the same moment: nothing runs between here and the first await
    let (offset, (cols, rows)) = (terminal.offset.get(), terminal.size.get());
    let journal = agent.journal.borrow().end();
    let screen = agent.screen(index, terminal, Depth::WithHistory).await;
    let frame = SnapshotFrame {
        request,
        terminal: index,
        offset,
        journal,
        cols,
        rows,
        screen,
    };
    outbox.send_after(journal, &AgentFrame::Snapshot(frame));
}

fn find(agent: &Agent, index: TerminalIndex) -> Result<&Terminal, Refusal> {
    agent.terminal(index).ok_or_else(|| {
        Refusal::new(
            "no-terminal",
            format!("terminal is {index}, there are {}", agent.terminals().len()),
        )
    })
}

fn bounded(field: &str, text: &str, max: usize) -> Done {
    if text.len() <= max {
        return Ok(());
    }
    Err(Refusal::new(
        "too-long",
        format!("{field} has {} bytes, at most {max} are possible", text.len()),
    ))
}

/// While a full disk holds the journal up, what would add to it is refused.
fn journal_open(agent: &Agent) -> Done {
    if agent.journal.borrow().takes_events() {
        return Ok(());
    }
    Err(Refusal::new(
        "busy",
        "the journal takes no more records: the disk is full or the lab has stopped".into(),
    ))
}

fn follow(agent: &Agent, outbox: &Outbox, from: u64) -> Done {
    let journal = agent.journal.borrow();
    if from > journal.end() {
        let message = format!(
            "from is {from}, the journal ends at {}: another agent's offset",
            journal.end()
        );
        return Err(Refusal::breach(message));
    }
    outbox.follow(from.max(journal.start()));
    Ok(())
}

fn resize(agent: &Agent, index: TerminalIndex, writer: &str, (cols, rows): (u16, u16)) -> Done {
    let terminal = find(agent, index)?;
    if terminal.seat.borrow().as_ref().is_some_and(|s| s.writer != writer) {
        return Err(Refusal::new(
            "no-seat",
            format!("writer {writer:.32} may not resize terminal {index}"),
        ));
    }
    journal_open(agent)?;
    let size = (cols.clamp(1, COLS_MAX), rows.clamp(1, ROWS_MAX));
    if terminal.pumped.get() {
        terminal.resize.set(Some(size));
        terminal.wake.notify_one();
    } else if size != terminal.size.get() {
        agent.resized(index, terminal, size);
    }
    Ok(())
}

fn give_seat(agent: &Agent, index: TerminalIndex, seat: Seat) -> Done {
    let terminal = find(agent, index)?;
    bounded("name", &seat.name, NAME_BYTES_MAX)?;
    bounded("role", &seat.role, NAME_BYTES_MAX)?;
    if !seat.writer.is_empty() && seat.writer.parse::<WriterId>().is_err() {
        return Err(Refusal::new(
            "malformed",
            format!("writer is {:.32}, expected a decimal number", seat.writer),
        ));
    }
    journal_open(agent)?;
    let unchanged = terminal
        .seat
        .borrow()
        .as_ref()
        .map_or(seat.writer.is_empty(), |s| *s == seat);
    if !unchanged {
        terminal.give_seat(seat.clone());
        agent.append(index, Event::Seat(seat));
    }
    Ok(())
}

fn join(agent: &Agent, outbox: &Outbox, join: Join) -> Done {
    for (field, text) in [("viewer", &join.viewer), ("name", &join.name), ("role", &join.role)] {
        bounded(field, text, NAME_BYTES_MAX)?;
    }
    journal_open(agent)?;
    let mut viewers = outbox.viewers.borrow_mut();
    if viewers.iter().any(|v| v.viewer == join.viewer) {
        return Ok(());
    }
    if viewers.len() >= VIEWERS_MAX {
        return Err(Refusal::new(
            "busy",
            format!("{VIEWERS_MAX} viewers are here through this connection"),
        ));
    }
    viewers.push(join.clone());
    drop(viewers);
    agent.join(join);
    Ok(())
}

fn leave(agent: &Agent, outbox: &Outbox, viewer: &str) {
    let mut viewers = outbox.viewers.borrow_mut();
    let found = viewers
        .iter()
        .position(|v| v.viewer == viewer)
        .map(|i| viewers.remove(i));
    drop(viewers);
    if let Some(join) = found {
        agent.join(Join { here: false, ..join });
    }
}

fn restart(agent: &Agent, index: TerminalIndex) -> Done {
    let terminal = find(agent, index)?;
    if !terminal.pumped.get() {
        return Err(Refusal::new(
            "not-ready",
            "terminals start when the lab is ready".into(),
        ));
    }
    if terminal.exited.get().is_none() {
        return Err(Refusal::new(
            "not-exited",
            format!("the program of terminal {index} runs"),
        ));
    }
    stands_still(agent)?;
    journal_open(agent)?;
    terminal.restart.set(true);
    terminal.wake.notify_one();
    Ok(())
}

/// A lab that is frozen starts no program: what started would run, unseen by who stopped the others.
pub fn stands_still(agent: &Agent) -> Done {
    if agent.frozen.get() {
        return Err(Refusal::new(
            "frozen",
            "the lab stands still; nothing can be started".into(),
        ));
    }
    Ok(())
}

fn marker(agent: &Agent, index: TerminalIndex, label: &str) -> Done {
    if index != WHOLE_SESSION {
        find(agent, index)?;
    }
    bounded("label", label, LABEL_BYTES_MAX)?;
    journal_open(agent)?;
    agent.marker(index, label);
    Ok(())
}

fn input(agent: &Agent, outbox: &Outbox, index: TerminalIndex, writer: WriterId, seq: u64, bytes: Bytes) -> Done {
    let terminal = find(agent, index)?;
    if bytes.len() > INPUT_BYTES_MAX {
        let message = format!(
            "input has {} bytes, at most {INPUT_BYTES_MAX} are possible",
            bytes.len()
        );
        return Err(Refusal::new("too-long", message));
    }
    if !terminal.pumped.get() {
        return Err(Refusal::new(
            "not-ready",
            "terminals start when the lab is ready".into(),
        ));
    }
    outbox.heard(index, writer);
    if !terminal.has_seat(writer) && !terminal.keys.borrow().knows(writer, seq) {
        return Err(Refusal::new(
            "no-seat",
            format!("writer {writer} has no seat in terminal {index}"),
        ));
    }
    let typed = terminal.keys.borrow_mut().push(writer, seq, bytes);
    match typed {
        Typed::Queued if terminal.exited.get().is_some() => {
            for (writer, seq) in terminal.keys.borrow_mut().drop_waiting() {
                agent.acknowledge(index, writer, seq);
            }
        }
        Typed::Queued => terminal.keys_wake.notify_one(),
        Typed::Already(applied) if applied >= seq => outbox.acknowledge(index, writer, applied),
        Typed::Already(_) => {}
        Typed::Hole(last) => {
            let message = format!("seq is {seq}, the last one of writer {writer} in terminal {index} was {last}");
            return Err(Refusal::new("input-order", message));
        }
        Typed::Full => {
            return Err(Refusal::new(
                "busy",
                format!("terminal {index} does not read what is typed"),
            ));
        }
    }
    Ok(())
}
