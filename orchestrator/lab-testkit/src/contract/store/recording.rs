//! Chunks in order, exactly once, by the newest recorder.

use super::fixture::{School, at, at_once};
use lab_core::{
    SessionId,
    port::{ChunkAppend, ErrorKind, Store, StoreError, recorder_lease},
    recording::{ChainHash, Chunk, RecordingHead, RecordingState},
};
use std::{sync::Arc, time::Duration};

pub async fn a_recording_opens_once_and_empty(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let id = school.at_work(3600).await.id;
    assert_eq!(school.store.recording_head(id).await.unwrap(), None);
    let nothing = ChunkAppend {
        epoch: 1,
        ..chunk(id, 0, 10)
    };
    assert_eq!(
        school.store.recording_append(&nothing).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let empty = RecordingHead {
        session: id,
        end: 0,
        chain: ChainHash::genesis(id),
        chunks: 0,
        state: RecordingState::Open,
        last_us: 0,
    };
    for head in at_once(10, |_| {
        let store = school.store.clone();
        async move { store.recording_open(id, at(0)).await.unwrap() }
    })
    .await
    {
        assert_eq!(head, empty);
    }
    school.store.recording_append(&chunk(id, 0, 10)).await.unwrap();
    assert_eq!(
        school.store.recording_open(id, at(1)).await.unwrap().end,
        10,
        "opening again finds what is there"
    );
    assert_eq!(school.store.recording_chunks(id).await.unwrap().len(), 1);
}

pub async fn chunks_follow_one_another_without_gap_or_overlap(store: Arc<dyn Store>) {
    let (store, id) = recording(store).await;
    let head = store.recording_append(&chunk(id, 0, 100)).await.unwrap();
    assert_eq!(
        (head.end, head.chunks, head.last_us, head.chain),
        (100, 1, 100, chunk(id, 0, 100).chain)
    );
    for (start, end) in [(99, 200), (101, 200), (0, 99), (0, 200), (100, 100), (100, 50)] {
        let refused = store.recording_append(&chunk(id, start, end)).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::ChunkOrder { end: 100, .. }),
            "[{start}, {end}): {refused:?}"
        );
    }
    // the answer was lost, and the recorder sends the same chunk again
    assert_eq!(store.recording_append(&chunk(id, 0, 100)).await.unwrap(), head);
    let other = ChunkAppend {
        chain: ChainHash([7; 32]),
        ..chunk(id, 0, 100)
    };
    assert!(
        matches!(store.recording_append(&other).await, Err(StoreError::ChunkOrder { .. })),
        "other bytes"
    );
    // a clock that goes back in a chunk does not lower the last one; offsets pass 32 bits
    let far = ChunkAppend {
        last_us: 5,
        ..chunk(id, 100, 1 << 40)
    };
    assert_eq!(store.recording_append(&far).await.unwrap().last_us, 100);
    let kept: Vec<Chunk> = store.recording_chunks(id).await.unwrap();
    assert_eq!(kept, [stored(&chunk(id, 0, 100)), stored(&far)]);
    assert_eq!(
        store.recording_head(id).await.unwrap().map(|h| (h.end, h.chunks)),
        Some((1 << 40, 2))
    );
}

pub async fn of_many_who_append_at_once_one_wins(store: Arc<dyn Store>) {
    let (store, id) = recording(store).await;
    let answers = at_once(20, |i| {
        let store = store.clone();
        async move { store.recording_append(&chunk(id, 0, 10 + i as u64)).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1);
    assert_eq!(store.recording_chunks(id).await.unwrap().len(), 1);
}

pub async fn a_newer_recorder_shuts_out_the_older(store: Arc<dyn Store>) {
    let (store, id) = recording(store).await;
    store
        .recording_append(&ChunkAppend {
            epoch: 3,
            ..chunk(id, 0, 10)
        })
        .await
        .unwrap();
    let late = store
        .recording_append(&ChunkAppend {
            epoch: 2,
            ..chunk(id, 10, 20)
        })
        .await
        .unwrap_err();
    assert!(matches!(late, StoreError::Fenced { epoch: 2, .. }), "{late:?}");
    store
        .recording_append(&ChunkAppend {
            epoch: 3,
            ..chunk(id, 10, 20)
        })
        .await
        .unwrap();
    store
        .recording_append(&ChunkAppend {
            epoch: 4,
            ..chunk(id, 20, 30)
        })
        .await
        .unwrap();
    assert_eq!(store.recording_head(id).await.unwrap().unwrap().end, 30);
}

pub async fn a_closed_recording_takes_nothing_more_and_its_first_end_counts(store: Arc<dyn Store>) {
    let (store, id) = recording(store).await;
    store.recording_append(&chunk(id, 0, 10)).await.unwrap();
    let cut = RecordingState::Cut {
        at: at(60),
        reason: "sandbox-lost".into(),
    };
    store.recording_close(id, 1, &cut).await.unwrap();
    store
        .recording_close(id, 1, &RecordingState::Complete { at: at(61) })
        .await
        .unwrap();
    assert_eq!(store.recording_head(id).await.unwrap().unwrap().state, cut);
    let refused = store.recording_append(&chunk(id, 10, 20)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    assert_eq!(
        store.recording_append(&chunk(id, 0, 10)).await.unwrap().end,
        10,
        "the last one is known all the same"
    );
    let unknown = SessionId(super::fixture::fresh());
    assert_eq!(
        store.recording_close(unknown, 1, &cut).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

pub async fn a_recorder_that_slept_ends_nothing_that_another_goes_on_with(store: Arc<dyn Store>) {
    let (store, id) = recording(store).await;
    let cut = RecordingState::Cut {
        at: at(60),
        reason: "sandbox-lost".into(),
    };
    let lease = async |holder: &str, now: i64| {
        let name = recorder_lease(id);
        let taken = store.lease_take(&name, holder, at(now), Duration::from_secs(5)).await;
        taken.unwrap().unwrap().epoch
    };
    let slept = lease("a", 0).await;
    store
        .recording_append(&ChunkAppend {
            epoch: slept,
            ..chunk(id, 0, 10)
        })
        .await
        .unwrap();
    // taken over, and nothing written yet
    let newest = lease("b", 10).await;
    let refused = store.recording_close(id, slept, &cut).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused:?}");
    store
        .recording_append(&ChunkAppend {
            epoch: newest,
            ..chunk(id, 10, 20)
        })
        .await
        .unwrap();
    let complete = RecordingState::Complete { at: at(61) };
    store.recording_close(id, newest, &complete).await.unwrap();
    store
        .recording_close(id, slept, &cut)
        .await
        .expect("it is over already");
    assert_eq!(store.recording_head(id).await.unwrap().unwrap().state, complete);
}

async fn recording(store: Arc<dyn Store>) -> (Arc<dyn Store>, SessionId) {
    let school = School::open(store).await;
    let id = school.at_work(3600).await.id;
    school.store.recording_open(id, at(0)).await.unwrap();
    (school.store, id)
}

/// A chunk of epoch 1, told apart by its place.
pub fn chunk(session: SessionId, start: u64, end: u64) -> ChunkAppend {
    ChunkAppend {
        session,
        epoch: 1,
        start,
        end,
        chain: ChainHash::genesis(session).extend(start, &end.to_be_bytes()),
        key: format!("recording/{session}/{start:020}"),
        last_us: end,
        at: at(10),
    }
}

fn stored(c: &ChunkAppend) -> Chunk {
    Chunk {
        start: c.start,
        end: c.end,
        chain: c.chain,
        key: c.key.clone(),
    }
}
