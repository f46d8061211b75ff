//! `labwire login`, beside a server that signed people in: here the store alone.

use crate::cli::{fails, ok};
use lab_core::{
    CourseId, LoginId, Timestamp, TokenHash,
    launch::{Login, Role},
    port::{StaffStore as _, Store as _},
};
use lab_store::{SqlStore, StoreOptions};
use std::{path::Path, time::Duration};

const CURIE: &str = "oidc:login.example.org/realms/ens#42";

/// Two tabs of a teacher, an operator, and a learner, signed in an hour ago.
async fn signed_in(dir: &Path) -> (SqlStore, Timestamp) {
    // makes the folder and the database
    ok(dir, &["login", "ls"]);
    let url = format!("sqlite:{}", dir.join("labwire-data/labwire.db").display());
    let store = SqlStore::open(&url, StoreOptions::default()).await.unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let since = Timestamp::from_secs(i64::try_from(now).unwrap() - 3600);
    let people = [
        (1, CURIE, "Prof. Curie", Role::Teacher),
        (2, CURIE, "Prof. Curie", Role::Teacher),
        (3, "cli:op", "Op", Role::Operations),
        (4, "lms.example.org#ada", "Ada", Role::Learner),
    ];
    for (n, subject, name, role) in people {
        let login = Login {
            id: LoginId(uuid::Uuid::from_u128(n)),
            subject: subject.into(),
            name: name.into(),
            role,
            course: CourseId("net".into()),
            lab: None,
            plan: None,
            sponsor: None,
            created_at: since,
            expires_at: since.plus(Duration::from_hours(2)),
        };
        store.login_create(&login, TokenHash::of(&n.to_string())).await.unwrap();
    }
    (store, since)
}

#[tokio::test]
async fn who_is_signed_in_is_listed_and_ended_by_login_or_by_person() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (store, since) = signed_in(dir).await;
    let listed = ok(dir, &["login", "ls"]);
    assert_eq!(listed.lines().count(), 4, "a header, and staff: {listed}");
    assert!(!listed.contains("Ada"), "{listed}");
    let curie = listed.lines().find(|l| l.contains(CURIE)).unwrap();
    let ends = since.plus(Duration::from_hours(12)).to_string();
    assert!(
        curie.contains("teacher") && curie.contains(&since.to_string()) && curie.contains(&ends),
        "{curie}"
    );
    assert!(ok(dir, &["login", "ls", "--all"]).contains("Ada"));

    let said = ok(dir, &["login", "revoke", "--person", "Prof. Curie"]);
    assert_eq!(said.lines().count(), 2, "both tabs: {said}");
    for bearer in ["1", "2"] {
        let opens = store.login_by_bearer(TokenHash::of(bearer), since).await.unwrap();
        assert_eq!(opens, None, "the server finds nobody at the next request");
    }
    let op = uuid::Uuid::from_u128(3).to_string();
    assert!(ok(dir, &["login", "revoke", &op]).contains("Op"));
    assert_eq!(store.login_list(since).await.unwrap().len(), 1, "the learner");
    let log = store.audit_list(None).await.unwrap();
    assert_eq!(log.iter().filter(|e| e.action == "login-revoke").count(), 3);

    assert!(fails(dir, &["login", "revoke", &op]).contains("labwire login ls --all"));
    assert!(fails(dir, &["login", "revoke", "--person", "Nobody"]).contains("nobody of the id or name \"Nobody\""));
    assert!(fails(dir, &["login", "revoke"]).contains("--person"), "one of both");
    assert!(fails(dir, &["login", "revoke", &op, "--person", CURIE]).contains("--person"));
    store.close().await;
}
