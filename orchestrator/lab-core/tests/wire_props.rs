//! Whatever bytes come: what was encoded is read back, and what was not is refused without harm.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails, as it should")]

use bytes::{Bytes, BytesMut};
use lab_core::{
    agent::{AgentFrame, SnapshotFrame},
    journal::{Command, Decoder, Event, HEADER_BYTES, LabEvent, Marker, PAYLOAD_MAX, Record},
    terminal::BrowserFrame,
};
use proptest::{collection::vec, prelude::*};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        bytes().prop_map(Event::Output),
        bytes().prop_map(Event::Input),
        (any::<u16>(), any::<u16>()).prop_map(|(cols, rows)| Event::Resize { cols, rows }),
        (any::<u16>(), any::<u16>(), bytes()).prop_map(|(cols, rows, screen)| Event::Keyframe { cols, rows, screen }),
        any::<i32>().prop_map(|status| Event::Exit { status }),
        ".*".prop_map(|label| Event::Marker(Marker { label })),
        (".*", any::<Option<i32>>(), any::<Option<u64>>())
            .prop_map(|(text, status, took_us)| Event::Command(Command { text, status, took_us })),
        (".*", ".*").prop_map(|(code, detail)| Event::Lab(LabEvent::Failed { code, detail })),
        (12_u8.., bytes()).prop_map(|(kind, payload)| Event::Unknown { kind, payload }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (any::<u16>(), any::<u64>(), any::<u64>(), event()).prop_map(|(terminal, time_us, offset, event)| Record {
        terminal,
        time_us,
        offset,
        event,
    })
}

fn encoded(records: &[Record]) -> Bytes {
    let mut out = BytesMut::new();
    records.iter().for_each(|r| r.encode(&mut out));
    out.freeze()
}

fn agent_frame() -> impl Strategy<Value = AgentFrame> {
    let (t, n) = (any::<u16>, any::<u64>);
    prop_oneof![
        (n(), bytes()).prop_map(|(offset, bytes)| AgentFrame::Journal { offset, bytes }),
        (any::<u32>(), t(), n(), n(), t(), t(), bytes()).prop_map(
            |(request, terminal, offset, journal, cols, rows, screen)| {
                AgentFrame::Snapshot(SnapshotFrame {
                    request,
                    terminal,
                    offset,
                    journal,
                    cols,
                    rows,
                    screen,
                })
            }
        ),
        (t(), n(), n(), bytes()).prop_map(|(terminal, writer, seq, bytes)| AgentFrame::Input {
            terminal,
            writer,
            seq,
            bytes
        }),
        (t(), n(), n()).prop_map(|(terminal, writer, seq)| AgentFrame::InputAck { terminal, writer, seq }),
        (t(), n(), n()).prop_map(|(terminal, writer, limit)| AgentFrame::Credit {
            terminal,
            writer,
            limit
        }),
        (n(), n()).prop_map(|(epoch, offset)| AgentFrame::Durable { epoch, offset }),
        n().prop_map(|offset| AgentFrame::Taken { offset }),
    ]
}

fn browser_frame() -> impl Strategy<Value = BrowserFrame> {
    let (t, n) = (any::<u16>, any::<u64>);
    prop_oneof![
        (any::<u8>(), t(), n(), bytes()).prop_map(|(flags, terminal, offset, bytes)| BrowserFrame::Output {
            flags,
            terminal,
            offset,
            bytes
        }),
        (any::<u8>(), t(), n(), t(), t(), bytes()).prop_map(|(flags, terminal, offset, cols, rows, screen)| {
            BrowserFrame::Snapshot {
                flags,
                terminal,
                offset,
                cols,
                rows,
                screen,
            }
        }),
        (t(), n(), bytes()).prop_map(|(terminal, seq, bytes)| BrowserFrame::Input { terminal, seq, bytes }),
        (t(), n()).prop_map(|(terminal, seq)| BrowserFrame::InputAck { terminal, seq }),
        (t(), n()).prop_map(|(terminal, offset)| BrowserFrame::Drawn { terminal, offset }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_survive_however_their_bytes_are_cut(records in vec(record(), 0..8), cuts in vec(1_usize..200, 0..40), start in 0..1_u64 << 60) {
        let all = encoded(&records);
        let mut decoder = Decoder::new(start);
        let (mut rest, mut seen) = (&all[..], vec![]);
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            decoder.push(now);
            rest = later;
            while let Some(record) = decoder.next_record().unwrap() {
                seen.push(record);
            }
        }
        prop_assert_eq!(seen, records);
        prop_assert_eq!(decoder.offset(), start + all.len() as u64);
        prop_assert_eq!(decoder.end(), decoder.offset());
    }

    #[test]
    fn a_changed_bit_never_goes_unseen(record in record(), bit in any::<prop::sample::Index>()) {
        let mut all = encoded(std::slice::from_ref(&record)).to_vec();
        let bit = bit.index(all.len() * 8);
        all[bit / 8] ^= 1 << (bit % 8);
        let mut decoder = Decoder::new(7);
        decoder.push(&all);
        // a longer length waits for bytes that do not come; everything else is an error that names the record
        match decoder.next_record() {
            Ok(None) => prop_assert!(bit < 32, "only the length can make it wait"),
            Ok(Some(seen)) => prop_assert!(false, "read as {:?}", seen),
            Err(error) => prop_assert_eq!(error.at(), 7),
        }
    }

    #[test]
    fn random_bytes_are_no_record(noise in vec(any::<u8>(), HEADER_BYTES..2000)) {
        let mut decoder = Decoder::new(0);
        decoder.push(&noise);
        prop_assert!(!matches!(decoder.next_record(), Ok(Some(_))));
    }

    #[test]
    fn agent_frames_are_read_back(frame in agent_frame()) {
        prop_assert_eq!(AgentFrame::decode(frame.encode()), Ok(frame));
    }

    #[test]
    fn browser_frames_are_read_back(frame in browser_frame()) {
        prop_assert_eq!(BrowserFrame::decode(frame.encode()), Ok(frame));
    }

    /// Frames of a fixed size may be followed by fields of a later version, which are not read.
    #[test]
    fn what_decodes_is_what_the_bytes_begin_with(noise in bytes(), kind in prop_oneof![0_u8..9, 0x10_u8..0x17]) {
        let message: Bytes = [kind].into_iter().chain(noise).collect();
        if let Ok(frame) = AgentFrame::decode(message.clone()) {
            prop_assert!(message.starts_with(&frame.encode()), "{:?}", frame);
        }
        if let Ok(frame) = BrowserFrame::decode(message.clone()) {
            prop_assert!(message.starts_with(&frame.encode()), "{:?}", frame);
        }
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_its_bytes_are_awaited() {
    let mut decoder = Decoder::new(0);
    decoder.push(&(PAYLOAD_MAX as u32 + 1).to_be_bytes());
    decoder.push(&[0; HEADER_BYTES]);
    assert!(decoder.next_record().is_err());
}
