//! Input on its way: numbered, kept until the agent acknowledges it, sent again when the line was lost.

use super::limits::INPUT_WAITING_BYTES_MAX;
use bytes::Bytes;
use lab_core::{TerminalIndex, WriterId, agent::AgentFrame};
use std::collections::{BTreeMap, VecDeque};

/// What is to be done with an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// New: forward it.
    Forward,
    /// In the shell already: acknowledge up to this number.
    Acknowledge(u64),
    /// Under way already.
    Known,
    /// Its number does not follow the last one.
    Hole,
    /// Too much waits.
    Full,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(u64, Bytes)>,
    bytes: usize,
    acked: Option<u64>,
}

/// One lane per (terminal, writer).
#[derive(Debug, Default)]
pub(super) struct Inputs {
    lanes: BTreeMap<(TerminalIndex, WriterId), Lane>,
}

impl Inputs {
    /// Notes an input of a tab.
    pub fn take(&mut self, terminal: TerminalIndex, writer: WriterId, seq: u64, bytes: &Bytes) -> Took {
        let lane = self.lanes.entry((terminal, writer)).or_default();
        if let Some(acked) = lane.acked.filter(|acked| seq <= *acked) {
            return Took::Acknowledge(acked);
        }
        let last = lane.waiting.back().map(|(seq, _)| *seq).or(lane.acked);
        match last {
            Some(last) if seq <= last => return Took::Known,
            Some(last) if seq != last + 1 => return Took::Hole,
            // nothing is known of this writer (it was with another server before): the agent decides
            _ => {}
        }
        if lane.bytes + bytes.len() > INPUT_WAITING_BYTES_MAX {
            return Took::Full;
        }
        lane.bytes += bytes.len();
        lane.waiting.push_back((seq, bytes.clone()));
        Took::Forward
    }

    /// The agent has everything up to `seq`.
    pub fn acked(&mut self, terminal: TerminalIndex, writer: WriterId, seq: u64) {
        let lane = self.lanes.entry((terminal, writer)).or_default();
        lane.acked = lane.acked.max(Some(seq));
        while let Some((first, bytes)) = lane.waiting.front()
            && *first <= seq
        {
            lane.bytes -= bytes.len();
            lane.waiting.pop_front();
        }
    }

    /// Everything not acknowledged, in order, to be sent on a new line.
    pub fn again(&self) -> impl Iterator<Item = AgentFrame> + '_ {
        self.lanes.iter().flat_map(|(&(terminal, writer), lane)| {
            lane.waiting.iter().map(move |(seq, bytes)| AgentFrame::Input {
                terminal,
                writer,
                seq: *seq,
                bytes: bytes.clone(),
            })
        })
    }

    /// Drops what waits in lanes that `refused` names; those lanes. Their next number is the one after the last acknowledged.
    pub fn refuse(
        &mut self,
        refused: impl Fn(TerminalIndex, WriterId, Option<u64>) -> bool,
    ) -> Vec<(TerminalIndex, WriterId)> {
        let mut dropped = Vec::new();
        for (&(terminal, writer), lane) in &mut self.lanes {
            if !lane.waiting.is_empty() && refused(terminal, writer, lane.acked) {
                lane.waiting.clear();
                lane.bytes = 0;
                dropped.push((terminal, writer));
            }
        }
        dropped
    }

    /// Forgets a writer that is gone and has nothing under way.
    pub fn forget(&mut self, writer: WriterId) {
        self.lanes
            .retain(|(_, w), lane| *w != writer || !lane.waiting.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_input_is_forwarded_once_and_a_hole_is_named() {
        let mut inputs = Inputs::default();
        let b = Bytes::from_static(b"x");
        assert_eq!(inputs.take(0, 1, 5, &b), Took::Forward);
        assert_eq!(inputs.take(0, 1, 5, &b), Took::Known);
        assert_eq!(inputs.take(0, 1, 6, &b), Took::Forward);
        assert_eq!(inputs.take(0, 1, 8, &b), Took::Hole);
        assert_eq!(inputs.take(0, 2, 1, &b), Took::Forward);
        inputs.acked(0, 1, 5);
        assert_eq!(inputs.take(0, 1, 4, &b), Took::Acknowledge(5));
        assert_eq!(inputs.again().count(), 2);
        assert_eq!(
            inputs.take(0, 1, 7, &Bytes::from(vec![0; INPUT_WAITING_BYTES_MAX])),
            Took::Full
        );
        assert_eq!(inputs.refuse(|_, w, _| w == 1), [(0, 1)]);
        assert_eq!(inputs.take(0, 1, 6, &b), Took::Forward);
    }
}
