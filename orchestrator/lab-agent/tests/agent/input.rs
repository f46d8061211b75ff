//! Typing: once, in order, by who has the seat.

use crate::client::{Sandbox, WRITER, script, spec};
use lab_core::{
    agent::{AgentFrame, TerminalKind, ToAgent},
    journal::{Event, Seat},
    limits::{COLS_MAX, INPUT_BYTES_MAX, ROWS_MAX},
};

const ECHO: &str = "stty raw -echo; printf READY; exec cat";

#[tokio::test]
async fn what_is_sent_twice_is_typed_once() {
    let sandbox = Sandbox::start(&script(ECHO));
    let mut client = sandbox.ready().await;
    client.shows("READY").await;
    for (seq, key) in [(1, "a"), (1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c")] {
        client.key(seq, key.as_bytes()).await;
    }
    client.until(|c| c.acks.contains(&(WRITER, 3))).await;
    // the same again over another connection, as after a half-dead socket
    let mut again = sandbox.follow().await;
    again.key(3, b"c").await;
    again.key(4, b"!").await;
    again.until(|c| c.acks.contains(&(WRITER, 4))).await;
    client.shows("abc!").await;
    assert_eq!(client.output(0), b"READYabc!");
    assert!(client.refused.is_empty());
}

#[tokio::test]
async fn a_hole_and_a_stranger_are_refused_and_nothing_is_typed() {
    let sandbox = Sandbox::start(&script(ECHO));
    let mut client = sandbox.ready().await;
    client.shows("READY").await;
    client.key(2, b"x").await;
    client
        .send(&AgentFrame::Input {
            terminal: 0,
            writer: 1,
            seq: 1,
            bytes: "y".into(),
        })
        .await;
    client
        .send(&AgentFrame::Input {
            terminal: 9,
            writer: WRITER,
            seq: 1,
            bytes: "z".into(),
        })
        .await;
    client.key(1, &vec![b'w'; INPUT_BYTES_MAX + 1]).await;
    client.key(1, b"ok").await;
    client.shows("ok").await;
    assert_eq!(client.refused, ["input-order", "no-seat", "no-terminal", "too-long"]);
    assert_eq!(client.output(0), b"READYok");
}

#[tokio::test]
async fn the_seat_moves_at_once_and_is_in_the_journal() {
    let sandbox = Sandbox::start(&script(ECHO));
    let mut client = sandbox.ready().await;
    client.shows("READY").await;
    client.seat(5, "teacher").await;
    let seat = client
        .record(|e| matches!(e, Event::Seat(s) if s.role == "teacher"))
        .await;
    assert_eq!(
        seat.event,
        Event::Seat(Seat {
            writer: "5".into(),
            name: "teacher".into(),
            role: "teacher".into()
        })
    );
    client.key(1, b"no").await;
    client
        .say(&ToAgent::Resize {
            terminal: 0,
            writer: WRITER.to_string(),
            cols: 10,
            rows: 10,
        })
        .await;
    client
        .send(&AgentFrame::Input {
            terminal: 0,
            writer: 5,
            seq: 1,
            bytes: "yes".into(),
        })
        .await;
    client.shows("yes").await;
    assert_eq!(client.refused, ["no-seat", "no-seat"]);
    assert_eq!(client.output(0), b"READYyes");
}

#[tokio::test]
async fn a_size_that_is_not_possible_is_clamped_and_recorded_in_order() {
    let sandbox = Sandbox::start(&script("while read x; do stty size; done"));
    let mut client = sandbox.ready().await;
    for (seq, asked, expected) in [
        (1, (0, 0), (1, 1)),
        (2, (65535, 65535), (COLS_MAX, ROWS_MAX)),
        (3, (100, 30), (100, 30)),
    ] {
        client
            .say(&ToAgent::Resize {
                terminal: 0,
                writer: WRITER.to_string(),
                cols: asked.0,
                rows: asked.1,
            })
            .await;
        let resized = client.record(|e| matches!(e, Event::Resize { .. })).await;
        assert_eq!(
            resized.event,
            Event::Resize {
                cols: expected.0,
                rows: expected.1
            }
        );
        client
            .record(|e| matches!(e, Event::Keyframe { cols, rows, .. } if (*cols, *rows) == expected))
            .await;
        client.key(seq, b"\n").await;
        client.shows(&format!("{} {}", expected.1, expected.0)).await;
    }
}

#[tokio::test]
async fn a_shells_commands_are_told_with_status_and_time() {
    let mut lab = spec(TerminalKind::Shell, &["/bin/bash", "--norc", "-i"], None);
    let marks = r"\[\e]133;D;$?\a\e]133;A\a\]$ \[\e]133;B\a\]";
    lab.env.push(("PS1".into(), marks.into()));
    lab.env.push(("PS0".into(), r"\e]633;E;false\a\e]133;C\a".into()));
    let sandbox = Sandbox::start(&lab);
    let mut client = sandbox.ready().await;
    client.key(1, b"false\r").await;
    let is =
        |e: &Event, ended: bool| matches!(e, Event::Command(c) if c.text == "false" && c.status.is_some() == ended);
    client.record(|e| is(e, false)).await;
    let ended = client.record(|e| is(e, true)).await;
    let Event::Command(command) = ended.event else {
        unreachable!()
    };
    assert_eq!(command.status, Some(1));
    assert!(command.took_us.unwrap() < 5_000_000);
}

#[tokio::test]
async fn a_routers_commands_are_found_by_its_prompt() {
    let router = r#"while IFS= read -e -p 'r1# ' line; do sleep 2; echo "did $line"; done"#;
    let sandbox = Sandbox::start(&spec(
        TerminalKind::Router,
        &["/bin/bash", "-c", router],
        Some("^r1[#>] ?$"),
    ));
    let mut client = sandbox.ready().await;
    client.key(1, b"show ip rout").await;
    client.key(2, b"x\x7fe\r").await;
    client
        .record(|e| matches!(e, Event::Command(c) if c.text == "show ip route" && c.took_us.is_none()))
        .await;
    let ended = client
        .record(|e| matches!(e, Event::Command(c) if c.took_us.is_some()))
        .await;
    let Event::Command(command) = ended.event else {
        unreachable!()
    };
    assert_eq!(command.text, "show ip route");
    // from when its echo was read to when its answer was: a process that stands still reads the echo late
    assert!((100_000..60_000_000).contains(&command.took_us.unwrap()), "{command:?}");
}
