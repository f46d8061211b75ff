//! Input that nobody should send.

use anyhow::{Result, ensure};
use bytes::Bytes;
use lab_core::terminal::{BrowserFrame, FromBrowser, ToBrowser};
use lab_e2e::{Options, Pace, Server, Tab};
use tokio_tungstenite::tungstenite::Message;

const SH: u16 = 0;

#[tokio::test]
async fn frames_out_of_protocol_close_that_socket_only() -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let good = Tab::open(&learner, &session, Pace::Fast).await?;
    good.attach_ready(SH).await?;
    let malformed = [
        Message::text("not json"),
        Message::text(r#"{"type":"attach"}"#),
        Message::text(r#"{"type":"attach","terminal":0,"cols":80,"rows":24,"more":1}"#),
        Message::binary(Bytes::from_static(b"\x99")),
        Message::binary(Bytes::from_static(b"\x13\x00")),
        Message::binary(Bytes::new()),
    ];
    let malformed = malformed.map(|message| (message, "4400 out-of-protocol"));
    let large = (Message::binary(vec![0x13; 200_000]), "4429 frame-too-large");
    for (message, told) in malformed.into_iter().chain([large]) {
        let tab = Tab::open(&learner, &session, Pace::Fast).await?;
        let what = format!("{:.60}", format!("{message:?}"));
        // an oversized message may be refused while it is sent
        let _ = tab.raw(message).await;
        let why = tab.closed(10).await?;
        ensure!(why == told, "{what}: {why}");
    }
    good.type_text(SH, "echo fine-$((7*7))\r").await?;
    good.shows(SH, "fine-49", 10).await?;
    server.finish().await
}

#[tokio::test]
async fn a_terminal_that_is_not_there_is_refused_by_name() -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.send(FromBrowser::Attach {
        terminal: 999,
        from: None,
        seat: false,
        cols: 80,
        rows: 24,
    })
    .await?;
    let why = tab.closed(10).await?;
    ensure!(why.contains("4400") && why.contains("no such terminal"), "{why}");
    server.finish().await
}

#[tokio::test]
async fn sizes_of_zero_and_65535_are_clamped() -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    for (cols, rows) in [(0, 0), (65535, 65535)] {
        let start = tab.messages().len();
        tab.send(FromBrowser::Resize {
            terminal: SH,
            cols,
            rows,
        })
        .await?;
        let (cols, rows) = tab
            .message_since(start, "the new size", 10, |m| match m {
                ToBrowser::Resize {
                    terminal: SH,
                    cols,
                    rows,
                    ..
                } => Some((*cols, *rows)),
                _ => None,
            })
            .await?;
        ensure!((1..=500).contains(&cols) && (1..=300).contains(&rows), "{cols}x{rows}");
    }
    tab.type_text(SH, "echo ok-$((3+3))\r").await?;
    tab.shows(SH, "ok-6", 10).await?;
    server.finish().await
}

#[tokio::test]
async fn input_sent_twice_is_typed_once() -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(1).await?;
    let start = tab.offset(1);
    for (seq, text) in [(1, "a"), (1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c"), (3, "c")] {
        tab.frame(&BrowserFrame::Input {
            terminal: 1,
            seq,
            bytes: Bytes::from_static(text.as_bytes()),
        })
        .await?;
    }
    tab.offset_reaches(1, start + 3, 10).await?;
    tab.frame(&BrowserFrame::Input {
        terminal: 1,
        seq: 4,
        bytes: Bytes::from_static(b"."),
    })
    .await?;
    tab.offset_reaches(1, start + 4, 10).await?;
    ensure!(
        tab.view(1).bytes.ends_with(b"abc."),
        "{:?}",
        String::from_utf8_lossy(&tab.view(1).bytes)
    );
    server.finish().await
}

#[tokio::test]
async fn a_lab_file_of_a_megabyte_or_with_a_bomb_is_refused_with_its_line() -> Result<()> {
    let server = Server::start(Options::process()).await?;
    let big = server.data_dir()?.join("big.yaml");
    std::fs::write(&big, vec![b'#'; 1024 * 1024])?;
    let bomb = server.data_dir()?.join("bomb.yaml");
    let mut text = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (from, to) in ('a'..'j').zip('b'..='j') {
        text += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(","));
    }
    std::fs::write(&bomb, text)?;
    for file in [&big, &bomb] {
        let error = server
            .cli(&["lab", "check", &file.display().to_string()])
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        ensure!(
            error.contains("expected") || error.contains("at most"),
            "{}: {error}",
            file.display()
        );
    }
    server.finish().await
}
