//! Exports and indexes: of any recording in bounded memory, by a bounded number of readers at once.

use super::rig::Rig;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use lab_app::{
    AppError,
    recording::{EXPORT_PIECE_BYTES_MAX, READS_EACH, Recordings},
};
use lab_core::{Subject, recording::ExportFormat};
use lab_testkit::Strike;

const FORMATS: [ExportFormat; 3] = [ExportFormat::AsciicastV2, ExportFormat::AsciicastV3, ExportFormat::Text];

fn ann() -> Subject {
    Subject::from("ann")
}

/// A recording of so much output that is worst to export: each byte is a control character, and six in a JSON string.
async fn recording(output: usize) -> Rig {
    let rig = Rig::new("best-effort").await;
    let line = [b"\x01".repeat(60), b"x\n".to_vec()].concat();
    let flood = line.repeat(output / line.len());
    for part in flood.chunks(1_000_000) {
        rig.agent().output(0, part);
        rig.until("it is a chunk", || rig.agent().durable() == rig.agent().journal_end())
            .await;
    }
    rig.assert_recorded().await;
    rig
}

/// Length of a whole export, and of its largest piece.
async fn measured(rig: &Rig, format: ExportFormat) -> (usize, usize) {
    let recordings = Recordings::new(rig.ports.clone());
    let mut pieces = recordings.export(&ann(), rig.session, format, "r1").await.unwrap();
    let (mut all, mut largest) = (0, 0);
    while let Some(piece) = pieces.try_next().await.unwrap() {
        all += piece.len();
        largest = largest.max(piece.len());
    }
    (all, largest)
}

#[tokio::test(start_paused = true)]
async fn an_exports_memory_does_not_grow_with_the_recording() {
    let (short, long) = (recording(1_000_000).await, recording(8_000_000).await);
    for format in FORMATS {
        let (all_short, largest_short) = measured(&short, format).await;
        let (all_long, largest_long) = measured(&long, format).await;
        assert!(all_long > all_short * 7, "{format:?}: {all_short}, {all_long}");
        for largest in [largest_short, largest_long] {
            assert!(largest <= EXPORT_PIECE_BYTES_MAX, "{format:?}: {largest}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_reads_no_further_than_its_reader() {
    let rig = recording(8_000_000).await;
    let chunks = rig.blobs.objects().len() as u64;
    assert!(chunks > 2, "{chunks}");
    let recordings = Recordings::new(rig.ports.clone());
    let before = rig.blobs.faults.calls("get");
    let read = || rig.blobs.faults.calls("get") - before;
    let mut pieces = recordings
        .export(&ann(), rig.session, ExportFormat::AsciicastV2, "r1")
        .await
        .unwrap();
    assert_eq!(read(), 1, "the first piece is of the first chunk");
    pieces.next().await.unwrap().unwrap();
    assert_eq!(read(), 1);
    let rest: Vec<Bytes> = pieces.try_collect().await.unwrap();
    assert!(!rest.is_empty());
    assert_eq!(read(), chunks);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_in_the_middle_is_an_error_and_no_shorter_file() {
    let rig = recording(8_000_000).await;
    let recordings = Recordings::new(rig.ports.clone());
    let pieces = recordings
        .export(&ann(), rig.session, ExportFormat::AsciicastV3, "r1")
        .await
        .unwrap();
    rig.blobs.faults.always("get", Strike::Before);
    let told: Vec<_> = pieces.collect().await;
    let last = told.last().unwrap().as_ref().err();
    assert_eq!(last.map(AppError::code), Some("blobs-unavailable"));
    assert!(told.len() > 1 && told[..told.len() - 1].iter().all(Result::is_ok));
    let again = recordings.export(&ann(), rig.session, ExportFormat::Text, "r1").await;
    assert_eq!(
        again.err().unwrap().code(),
        "blobs-unavailable",
        "before its first piece"
    );
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_keeps_nobody_else_from_reading() {
    let rig = recording(1_000_000).await;
    let recordings = Recordings::new(rig.ports.clone());
    let export = async |who: &str| {
        let reader = Subject::from(who);
        recordings
            .export(&reader, rig.session, ExportFormat::AsciicastV2, "r1")
            .await
    };
    let mut stalled = Vec::new();
    for _ in 0..READS_EACH {
        stalled.push(export("ann").await.unwrap());
    }
    let refused = export("ann").await.err().unwrap();
    assert_eq!(refused.code(), "recordings-busy");
    let whole: Vec<Bytes> = export("tom").await.unwrap().try_collect().await.unwrap();
    assert!(!whole.is_empty());
    recordings.index(&ann(), rig.session).await.unwrap();
    // who goes away gives the place back
    stalled.pop();
    assert!(export("ann").await.is_ok());
}
