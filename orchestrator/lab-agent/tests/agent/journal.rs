//! Bytes: whole, in order, from any offset, for as long as they must be kept.

use crate::client::{SOON, Sandbox, WRITER, script};
use lab_core::{
    agent::{AgentFrame, ToAgent},
    journal::{Decoder, Event},
    limits::JOURNAL_UNDURABLE_BYTES_MAX,
};
use std::time::Duration;

/// Every byte value, characters and sequences cut anywhere, written in pieces of odd sizes.
const MIXED: &str = r#"stty raw -echo; for i in $(seq 300); do printf '\x00\x01\x02\xff\xfe\x1b[3'; printf '1m\xe2\x82'; printf '\xac\r\n\x1b]0;t'; printf '\x07%s' "$i"; done; printf END; read x"#;

#[tokio::test]
async fn the_journal_holds_exactly_the_bytes_that_the_program_wrote() {
    let expected: Vec<u8> = (1..=300)
        .flat_map(|i| {
            [
                &b"\x00\x01\x02\xff\xfe\x1b[31m\xe2\x82\xac\r\n\x1b]0;t\x07"[..],
                i.to_string().as_bytes(),
            ]
            .concat()
        })
        .chain(*b"END")
        .collect();
    let sandbox = Sandbox::start(&script(MIXED));
    let mut client = sandbox.follow().await;
    client.shows("END").await;
    assert_eq!(blake3::hash(&client.output(0)), blake3::hash(&expected));
}

#[tokio::test]
async fn a_follower_resumes_at_any_byte() {
    let sandbox = Sandbox::start(&script("seq 20000; printf END; sleep 100"));
    let mut first = sandbox.follow().await;
    first.shows("END").await;
    first.record(|e| matches!(e, Event::Keyframe { .. })).await;
    let end = first.journal_end();
    for from in [0, 1, 28, end / 2, end - 1] {
        let mut other = sandbox.connect().await;
        other.say(&ToAgent::Follow { from }).await;
        let mut bytes = vec![];
        while (from + bytes.len() as u64) < end {
            bytes.extend_from_slice(&other.journal_bytes(from + bytes.len() as u64).await);
        }
        if from == 0 {
            let mut decoder = Decoder::new(0);
            decoder.push(&bytes);
            assert!(decoder.next_record().unwrap().is_some());
        }
        assert!(bytes.len() as u64 >= end - from, "from {from}");
    }
}

#[tokio::test]
async fn a_follower_that_takes_nothing_does_not_slow_another() {
    let sandbox = Sandbox::start(&script("head -c 12000000 /dev/zero; printf END; sleep 100"));
    let mut stalled = sandbox.follow().await;
    stalled.takes = false;
    let mut quick = sandbox.follow().await;
    quick.until(|c| c.output_len() >= 12_000_003).await;
    assert!(quick.jumps.is_empty());
    assert!(stalled.output_len() < 4_000_000);
    // and once it takes again, it gets the rest
    stalled.takes = true;
    stalled.until(|c| c.output_len() >= 12_000_003).await;
    assert!(stalled.jumps.is_empty());
}

#[tokio::test]
async fn terminals_pause_at_64_mib_that_are_not_durable_and_go_on_when_they_are() {
    let sandbox = Sandbox::start(&script("head -c 90000000 /dev/zero; printf END; sleep 100"));
    let mut client = sandbox.follow().await;
    client.until(|c| c.journal_end() >= JOURNAL_UNDURABLE_BYTES_MAX).await;
    // nothing more comes: the beat of 5 s does, and no output with it
    let at = client.output_len();
    let quiet = tokio::time::timeout(
        Duration::from_millis(700),
        client.until(|c| c.output_len() > at + 400_000),
    )
    .await;
    assert!(quiet.is_err(), "output went on");
    assert!(client.output_len() < 70_000_000);
    let mut durable = client.journal_end();
    client
        .send(&AgentFrame::Durable {
            epoch: 1,
            offset: durable,
        })
        .await;
    while client.output_len() < 90_000_003 {
        let next = durable + 8_000_000;
        client
            .until(|c| c.journal_end() > next || c.output_len() >= 90_000_003)
            .await;
        durable = client.journal_end();
        client
            .send(&AgentFrame::Durable {
                epoch: 1,
                offset: durable,
            })
            .await;
    }
}

#[tokio::test]
async fn a_killed_agent_leaves_a_journal_that_can_be_read_to_its_last_record() {
    let mut sandbox = Sandbox::start(&script("seq 5000; printf END; sleep 100"));
    let mut client = sandbox.follow().await;
    client.shows("END").await;
    let seen = client.journal_end();
    sandbox.agent.kill().await.unwrap();
    let mut files: Vec<_> = std::fs::read_dir(sandbox.dir.path().join("run/journal"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let mut decoder = Decoder::new(0);
    for file in files {
        decoder.push(&std::fs::read(file).unwrap());
    }
    while decoder.next_record().unwrap().is_some() {}
    assert!(
        decoder.offset() >= seen && decoder.offset() == decoder.end(),
        "{} of {seen}",
        decoder.offset()
    );
}

#[tokio::test]
async fn a_snapshot_and_what_follows_it_is_the_whole_screen() {
    let sandbox = Sandbox::start(&script(
        r"printf '\e[?1049h\e[2J\e[5;5Hédit\e[31m'; printf END; sleep 100",
    ));
    let mut client = sandbox.ready().await;
    client.shows("END").await;
    client
        .say(&ToAgent::Snapshot {
            request: 7,
            terminal: 0,
        })
        .await;
    client.until(|c| !c.snapshots.is_empty()).await;
    let snapshot = &client.snapshots[0];
    assert_eq!((snapshot.request, snapshot.cols, snapshot.rows), (7, 80, 24));
    assert_eq!(snapshot.offset, client.output_len());
    assert!(
        snapshot.journal <= client.journal_end(),
        "everything before it was sent before it"
    );
    let screen = String::from_utf8_lossy(&snapshot.screen);
    assert!(
        screen.contains("éditEND") || screen.contains("édit\x1b[0;31mEND"),
        "{screen:?}"
    );
    assert!(screen.contains("\x1b[?1049h"));
}

#[tokio::test]
async fn a_flood_follows_credit_and_control_c_works_under_it() {
    // the limit is there before the flood is: without one a flood goes as far as the journal lets it
    let flood = "stty -echo; trap 'echo INTERRUPTED; exec sleep 100' INT; echo READY; read go; yes";
    let sandbox = Sandbox::start(&script(flood));
    let mut client = sandbox.follow().await;
    client.seat(WRITER, "learner").await;
    let limit = 2_000_000;
    client.credit(limit).await;
    client.until(|c| c.tail(200).ends_with(b"READY\r\n")).await;
    client.key(1, b"\r").await;
    client.until(|c| c.output_len() == limit).await;
    let more = tokio::time::timeout(Duration::from_millis(300), client.until(|c| c.output_len() > limit)).await;
    assert!(more.is_err(), "output went past the credit");
    client.credit(limit + 50_000).await;
    client.until(|c| c.output_len() == limit + 50_000).await;
    // less than the journal takes before a recorder has it: what comes after the flood must find room
    client.credit(30_000_000).await;
    client
        .until(|c| c.refused.is_empty() && c.output_len() > limit + 1_000_000)
        .await;
    client.key(2, b"\x03").await;
    client.credit(u64::MAX).await;
    let stopped = tokio::time::timeout(SOON, client.until(|c| c.tail(200).ends_with(b"INTERRUPTED\r\n"))).await;
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn credit_outlives_its_connection_and_then_ends() {
    let sandbox = Sandbox::start(&script("echo READY; read go; yes"));
    let mut watcher = sandbox.follow().await;
    let mut learner = sandbox.connect().await;
    learner.seat(WRITER, "learner").await;
    watcher.record(|e| matches!(e, Event::Seat(_))).await;
    let limit = 3_000_000;
    learner.credit(limit).await;
    watcher.until(|c| c.tail(200).ends_with(b"READY\r\n")).await;
    learner.key(1, b"\r").await;
    watcher.until(|c| c.output_len() == limit).await;
    drop(learner);
    let more = tokio::time::timeout(Duration::from_secs(1), watcher.until(|c| c.output_len() > limit)).await;
    assert!(more.is_err(), "the limit went with the connection");
    watcher.until(|c| c.output_len() > limit).await;
}
