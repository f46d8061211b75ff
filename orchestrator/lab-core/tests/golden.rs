//! The golden messages: what is on the wire is what the file says, in both directions.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails, as it should")]

use bytes::{Bytes, BytesMut};
use lab_core::{
    agent::{AgentFrame, FromAgent, SnapshotFrame, ToAgent},
    journal::{Decoder, Event, Record},
    terminal::{BrowserFrame, FromBrowser, ToBrowser},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

const MESSAGES: &str = include_str!("golden/messages.json");

/// One line of the file; reads panic with the entry's name, which is all a failing test needs.
struct Entry(Map<String, Value>);

impl Entry {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn field(&self, name: &str) -> &Value {
        self.0["fields"]
            .get(name)
            .unwrap_or_else(|| panic!("{}: no field {name}", self.name()))
    }

    fn text(&self, name: &str) -> &str {
        self.field(name)
            .as_str()
            .unwrap_or_else(|| panic!("{}: {name} is not text", self.name()))
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> T {
        let n = self
            .field(name)
            .as_i64()
            .unwrap_or_else(|| panic!("{}: {name} is not a number", self.name()));
        T::try_from(n).unwrap_or_else(|_| panic!("{}: {name} is out of range", self.name()))
    }

    fn long(&self, name: &str) -> u64 {
        self.text(name)
            .parse()
            .unwrap_or_else(|e| panic!("{}: {name}: {e}", self.name()))
    }

    fn bytes(&self) -> Bytes {
        unhex(self.text("bytes"))
    }

    fn hex(&self) -> Bytes {
        unhex(self.0["hex"].as_str().unwrap())
    }
}

fn unhex(hex: &str) -> Bytes {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect()
}

/// The entries of one kind; fails when there is none, so that a renamed kind cannot turn a test into nothing.
fn entries(kind: &str) -> Vec<Entry> {
    let all: Vec<Map<String, Value>> = serde_json::from_str(MESSAGES).unwrap();
    let found: Vec<Entry> = all.into_iter().filter(|e| e["kind"] == kind).map(Entry).collect();
    assert!(!found.is_empty(), "no golden message of kind {kind}");
    found
}

fn browser_frame(e: &Entry) -> BrowserFrame {
    let terminal = e.number("terminal");
    match e.text("type") {
        "output" => BrowserFrame::Output {
            flags: e.number("flags"),
            terminal,
            offset: e.long("offset"),
            bytes: e.bytes(),
        },
        "snapshot" => BrowserFrame::Snapshot {
            flags: e.number("flags"),
            terminal,
            offset: e.long("offset"),
            cols: e.number("cols"),
            rows: e.number("rows"),
            screen: e.bytes(),
        },
        "input" => BrowserFrame::Input {
            terminal,
            seq: e.long("seq"),
            bytes: e.bytes(),
        },
        "input-ack" => BrowserFrame::InputAck {
            terminal,
            seq: e.long("seq"),
        },
        "drawn" => BrowserFrame::Drawn {
            terminal,
            offset: e.long("offset"),
        },
        other => panic!("{}: type {other}", e.name()),
    }
}

fn agent_frame(e: &Entry) -> AgentFrame {
    match e.text("type") {
        "journal" => AgentFrame::Journal {
            offset: e.long("offset"),
            bytes: e.bytes(),
        },
        "snapshot" => AgentFrame::Snapshot(SnapshotFrame {
            request: e.number("request"),
            terminal: e.number("terminal"),
            offset: e.long("offset"),
            journal: e.long("journal"),
            cols: e.number("cols"),
            rows: e.number("rows"),
            screen: e.bytes(),
        }),
        "input" => AgentFrame::Input {
            terminal: e.number("terminal"),
            writer: e.long("writer"),
            seq: e.long("seq"),
            bytes: e.bytes(),
        },
        "input-ack" => AgentFrame::InputAck {
            terminal: e.number("terminal"),
            writer: e.long("writer"),
            seq: e.long("seq"),
        },
        "credit" => AgentFrame::Credit {
            terminal: e.number("terminal"),
            writer: e.long("writer"),
            limit: e.long("limit"),
        },
        "durable" => AgentFrame::Durable {
            epoch: e.long("epoch"),
            offset: e.long("offset"),
        },
        "taken" => AgentFrame::Taken {
            offset: e.long("offset"),
        },
        other => panic!("{}: type {other}", e.name()),
    }
}

fn event(e: &Entry) -> Event {
    fn value<T: DeserializeOwned>(e: &Entry) -> T {
        serde_json::from_value(e.field("value").clone()).unwrap_or_else(|err| panic!("{}: {err}", e.name()))
    }
    match e.text("type") {
        "output" => Event::Output(e.bytes()),
        "input" => Event::Input(e.bytes()),
        "resize" => Event::Resize {
            cols: e.number("cols"),
            rows: e.number("rows"),
        },
        "keyframe" => Event::Keyframe {
            cols: e.number("cols"),
            rows: e.number("rows"),
            screen: e.bytes(),
        },
        "exit" => Event::Exit {
            status: e.number("status"),
        },
        "command" => Event::Command(value(e)),
        "marker" => Event::Marker(value(e)),
        "check" => Event::Check(value(e)),
        "seat" => Event::Seat(value(e)),
        "join" => Event::Join(value(e)),
        "lab" => Event::Lab(value(e)),
        "unknown" => Event::Unknown {
            kind: e.number("kind"),
            payload: e.bytes(),
        },
        other => panic!("{}: type {other}", e.name()),
    }
}

#[test]
fn browser_frames_are_the_golden_bytes_both_ways() {
    for e in entries("browser-frame") {
        assert_eq!(
            BrowserFrame::decode(e.hex()).as_ref(),
            Ok(&browser_frame(&e)),
            "{}",
            e.name()
        );
        assert_eq!(browser_frame(&e).encode(), e.hex(), "{}", e.name());
    }
}

#[test]
fn agent_frames_are_the_golden_bytes_both_ways() {
    for e in entries("agent-frame") {
        assert_eq!(
            AgentFrame::decode(e.hex()).as_ref(),
            Ok(&agent_frame(&e)),
            "{}",
            e.name()
        );
        assert_eq!(agent_frame(&e).encode(), e.hex(), "{}", e.name());
    }
}

#[test]
fn journal_records_are_the_golden_bytes_both_ways() {
    for e in entries("journal") {
        let record = Record {
            terminal: e.number("terminal"),
            time_us: e.long("time_us"),
            offset: e.long("offset"),
            event: event(&e),
        };
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        assert_eq!(bytes, e.hex(), "{}", e.name());
        assert_eq!(record.event.kind(), e.number::<u8>("kind"), "{}", e.name());
        let mut decoder = Decoder::new(0);
        decoder.push(&e.hex());
        assert_eq!(decoder.next_record(), Ok(Some(record)), "{}", e.name());
    }
}

/// Reads the message as `T` and writes it again: nothing is lost, added or renamed.
fn round_trip<T: Serialize + DeserializeOwned>(e: &Entry) {
    let message: T = serde_json::from_value(e.0["json"].clone()).unwrap_or_else(|err| panic!("{}: {err}", e.name()));
    assert_eq!(serde_json::to_value(&message).unwrap(), e.0["json"], "{}", e.name());
}

#[test]
fn json_messages_are_read_and_written_without_loss() {
    for e in entries("browser-json") {
        match e.text("from") {
            "browser" => round_trip::<FromBrowser>(&e),
            "orchestrator" => round_trip::<ToBrowser>(&e),
            other => panic!("{}: from {other}", e.name()),
        }
    }
    for e in entries("agent-json") {
        match e.text("from") {
            "orchestrator" => round_trip::<ToAgent>(&e),
            "agent" => round_trip::<FromAgent>(&e),
            other => panic!("{}: from {other}", e.name()),
        }
    }
}

#[test]
fn every_form_of_the_protocols_has_a_golden_message() {
    let types = |kind: &str, from: &str| -> std::collections::BTreeSet<String> {
        let sent = |e: &Entry| from.is_empty() || e.text("from") == from;
        let of = |e: &Entry| {
            e.0.get("json").unwrap_or(&e.0["fields"])["type"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        entries(kind).iter().filter(|e| sent(e)).map(of).collect()
    };
    assert_eq!(types("browser-frame", "").len(), 5);
    assert_eq!(types("agent-frame", "").len(), 7);
    assert_eq!(types("journal", "").len(), 12);
    assert_eq!(types("browser-json", "browser").len(), 8);
    assert_eq!(types("browser-json", "orchestrator").len(), 12);
    assert_eq!(types("agent-json", "orchestrator").len(), 13);
    assert_eq!(types("agent-json", "agent").len(), 4);
}
