//! Exports over the door: as they are read, a few at once, and visibly broken where they break.

use crate::kit::Kit;
use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use lab_app::recording::{READ_BYTES_MAX, READS_EACH};
use lab_core::{
    SessionId,
    journal::{Decoder, Event, Record},
    port::{Blobs as _, ChunkAppend, Store as _},
};
use lab_testkit::Strike;
use tower::ServiceExt;

/// A recording of so many chunks, each of which is more than a piece in the file.
async fn record(kit: &Kit, session: &str, chunks: u64) {
    let id: SessionId = session.parse().unwrap();
    let mut head = kit.store.recording_open(id, kit.now()).await.unwrap();
    for n in 0..chunks {
        let mut journal = BytesMut::new();
        let event = Event::Output(Bytes::from(vec![1; 64 * 1024]));
        Record {
            terminal: 0,
            time_us: n * 1000,
            offset: n * 64 * 1024,
            event,
        }
        .encode(&mut journal);
        let (start, end, key) = (head.end, head.end + journal.len() as u64, format!("chunk-{n}"));
        let chain = head.chain.extend(start, &journal);
        kit.blobs.put(&key, journal.freeze()).await.unwrap();
        let chunk = ChunkAppend {
            session: id,
            epoch: 1,
            start,
            end,
            chain,
            key,
            last_us: n * 1000,
            at: kit.now(),
        };
        head = kit.store.recording_append(&chunk).await.unwrap();
    }
}

/// The answer, whose body is not read.
async fn export(kit: &Kit, session: &str, bearer: &str) -> Response<Body> {
    asked(kit, session, bearer, "format=asciicast-v2&terminal=h1").await
}

async fn asked(kit: &Kit, session: &str, bearer: &str, query: &str) -> Response<Body> {
    let path = format!("/api/v1/sessions/{session}/recording/export?{query}");
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    let request = request.body(Body::empty()).unwrap();
    kit.router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn an_export_that_breaks_is_no_answer_that_looks_whole() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    record(&kit, &session, 3).await;
    let answer = export(&kit, &session, &learner).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(kit.blobs.faults.calls("get"), 1, "no more is read than is taken");
    kit.blobs.faults.always("get", Strike::Before);
    to_bytes(answer.into_body(), usize::MAX)
        .await
        .expect_err("a client is not told that this was all");
    let errors = &kit.app.metrics().errors_total;
    assert_eq!(errors.with_label_values(&["blobs-unavailable"]).get(), 1);
    let refused = export(&kit, &session, &learner).await;
    assert_eq!(
        refused.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "what cannot be read at all has its status"
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_as_many_exports_as_one_may_have_is_told_to_wait() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    record(&kit, &session, 3).await;
    let mut open = Vec::new();
    for _ in 0..READS_EACH {
        open.push(export(&kit, &session, &learner).await);
    }
    let path = format!("/api/v1/sessions/{session}/recording/export?format=text&terminal=h1");
    let refused = kit.get(&path, Some(&learner)).await;
    assert_eq!(
        (refused.status, refused.code().as_str(), refused.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "recordings-busy", "2")
    );
    assert!(refused.json()["next"].as_str().unwrap().contains("under way"));
    // a replay is not an export, and others are others
    let index = format!("/api/v1/sessions/{session}/recording");
    assert_eq!(kit.get(&index, Some(&learner)).await.status, StatusCode::OK);
    open.pop();
    assert_eq!(kit.get(&path, Some(&learner)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_journal_is_saved_whole_however_long_it_is() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    record(&kit, &session, 80).await;
    let recording = format!("/api/v1/sessions/{session}/recording");
    let end = kit.get(&recording, Some(&learner)).await.json()["end"]
        .as_u64()
        .unwrap();
    assert!(end > READ_BYTES_MAX, "longer than one range");
    let saved = asked(&kit, &session, &learner, "format=journal").await;
    assert_eq!(saved.status(), StatusCode::OK);
    assert_eq!(saved.headers()[header::CONTENT_TYPE], "application/octet-stream");
    let saved = to_bytes(saved.into_body(), usize::MAX).await.unwrap();
    assert_eq!(saved.len() as u64, end);
    let mut decoder = Decoder::new(0);
    decoder.push(&saved);
    let records = std::iter::from_fn(|| decoder.next_record().unwrap()).count();
    assert_eq!(records, 80);
}

#[tokio::test]
async fn what_is_to_be_saved_is_asked_for_by_format_and_terminal() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    record(&kit, &session, 1).await;
    for (query, remedy) in [
        ("format=gif&terminal=h1", "format: must be"),
        ("format=text", "terminal: say which"),
        ("format=journal&terminal=h1", "terminal: a journal has all"),
    ] {
        let path = format!("/api/v1/sessions/{session}/recording/export?{query}");
        let refused = kit.get(&path, Some(&learner)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(remedy), "{query}: {message}");
    }
}
