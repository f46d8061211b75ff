//! Links: each refusal has its own cause, in the order of the checks.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lab_app::launch::{Key, Keyring, KeyringError, LINK_BYTES_MAX};
use lab_core::{
    LaunchId, Timestamp,
    launch::{LaunchClaims, LaunchRefusal, Role},
};

const NOW: Timestamp = Timestamp(1_795_348_800_000_000);

fn key(id: &str) -> Key {
    Key {
        id: id.into(),
        secret: format!("secret of {id}, long enough for HS256").into(),
    }
}

fn ring(ids: &[&str]) -> Keyring {
    Keyring::new(&ids.iter().map(|id| key(id)).collect::<Vec<_>>()).unwrap()
}

fn claims() -> LaunchClaims {
    LaunchClaims {
        aud: "here".into(),
        jti: LaunchId(uuid::Uuid::from_u128(7)),
        iat: NOW.secs(),
        exp: NOW.secs() + 600,
        sub: "ada".into(),
        name: None,
        role: Role::Learner,
        course: "net".into(),
        lab: Some("tiny".into()),
        plan: None,
        sponsor: None,
    }
}

#[test]
fn a_link_verifies_with_any_kept_key_and_is_refused_after_its_key_is_retired() {
    let old = ring(&["a"]).sign(&claims());
    assert_eq!(ring(&["b", "a"]).verify(&old, "here", NOW), Ok(claims()));
    assert_eq!(ring(&["b"]).verify(&old, "here", NOW), Err(LaunchRefusal::UnknownKey));
}

#[test]
fn every_refusal_says_its_own_reason() {
    let ring = ring(&["a"]);
    let good = ring.sign(&claims());
    let verify = |token: &str| ring.verify(token, "here", NOW).unwrap_err();
    let parts: Vec<&str> = good.split('.').collect();
    let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
    // changed claims under the old signature
    let forged = format!("{}.{}.{}", parts[0], text(r#"{"sub":"eve"}"#), parts[2]);
    assert_eq!(verify(&forged), LaunchRefusal::Forged);
    for alg in ["none", "HS512", "RS256"] {
        let header = text(&format!(r#"{{"alg":"{alg}","kid":"a"}}"#));
        assert_eq!(
            verify(&format!("{header}.{}.{}", parts[1], parts[2])),
            LaunchRefusal::Forged,
            "{alg}"
        );
        assert_eq!(
            verify(&format!("{header}.{}.", parts[1])),
            LaunchRefusal::Forged,
            "{alg} unsigned"
        );
    }
    for malformed in [
        "",
        "a.b",
        "a.b.c.d",
        "not a link",
        &"x".repeat(LINK_BYTES_MAX + 1),
        "%%%.%%%.%%%",
    ] {
        assert_eq!(verify(malformed), LaunchRefusal::Malformed, "{malformed:.20}");
    }
    assert_eq!(
        ring.verify(&good, "elsewhere", NOW),
        Err(LaunchRefusal::ForeignAudience)
    );
    let late = |secs: i64| Timestamp(NOW.0 + (600 + secs) * 1_000_000);
    assert!(
        ring.verify(&good, "here", late(30)).is_ok(),
        "clocks may differ by 30 s"
    );
    assert_eq!(ring.verify(&good, "here", late(31)), Err(LaunchRefusal::Expired));
    // what is foreign is said before what is late
    assert_eq!(
        ring.verify(&good, "elsewhere", late(31)),
        Err(LaunchRefusal::ForeignAudience)
    );
    let no_lab = ring.sign(&LaunchClaims { lab: None, ..claims() });
    assert_eq!(verify(&no_lab), LaunchRefusal::Malformed);
}

#[test]
fn weak_and_doubled_keys_are_refused_at_start() {
    let short = Key {
        id: "s".into(),
        secret: "x".repeat(31).into(),
    };
    assert_eq!(
        Keyring::new(&[short]).unwrap_err(),
        KeyringError::Short {
            id: "s".into(),
            bytes: 31
        }
    );
    assert_eq!(
        Keyring::new(&[key("a"), key("a")]).unwrap_err(),
        KeyringError::Twice { id: "a".into() }
    );
    assert_eq!(Keyring::new(&[]).unwrap_err(), KeyringError::Empty);
}
