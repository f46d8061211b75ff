//! Vouchers, grants that end, refunds, daily caps, sessions that stand still.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    CourseId, GrantId, SessionId, Timestamp, TokenHash, VoucherBatchId,
    courses::{CourseRun, Extension},
    entitlement::{
        Feature, GUESSES_MAX, Grant, Offer, Plan, Redeemed, Redemption, Refusal, VoucherBatch, VoucherRefusal, source,
    },
    metering::{Account, TxKind},
    port::{Admission, Refund, Session, Store, StoreError},
    provisioning::{EndReason, SessionEvent},
};
use std::sync::Arc;

fn hash(n: u16) -> TokenHash {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    TokenHash(bytes)
}

pub(super) fn batch(school: &School, course: &str) -> VoucherBatch {
    VoucherBatch {
        id: VoucherBatchId(fresh()),
        label: "ESP Dakar".into(),
        course: course.into(),
        plan: "QUALIFYING".into(),
        seconds: 3600,
        valid_days: 30,
        priority: 5,
        created_at: at(-100),
        expires_at: at(1000),
        key: school.course.to_string(),
        sponsor: Some("esp".into()),
    }
}

fn typed(subject: &str, course: &CourseId, code: u16, when: Timestamp) -> Redemption {
    Redemption {
        // the key that is not the batch's comes first
        hashes: vec![hash(code + 1000), hash(code)],
        subject: subject.into(),
        typed_by: subject.into(),
        course: course.clone(),
        at: when,
    }
}

async fn redeem(school: &School, subject: &str, code: u16) -> Redeemed {
    let redemption = typed(subject, &school.course, code, at(0));
    school.store.voucher_redeem(&redemption).await.unwrap()
}

fn refused(answer: Redeemed) -> VoucherRefusal {
    match answer {
        Redeemed::Refused(refusal) => refusal,
        granted @ Redeemed::Granted { .. } => panic!("{granted:?}"),
    }
}

pub async fn a_plan_is_kept_with_all_it_says(store: Arc<dyn Store>) {
    let text = |t: &str| lab_core::entitlement::Bilingual {
        en: t.into(),
        fr: format!("{t} é"),
    };
    let plan = Plan {
        session_secs_max: Some(5400),
        daily_secs_max: Some(7200),
        minimum_secs: 300,
        features: [Feature::Observe, Feature::Exam].into(),
        offer: Some(Offer {
            price: text("150 €"),
            how: text("Ask"),
            url: Some("https://learn.example.org".into()),
        }),
        ..Plan::new("P", text("P"))
    };
    store.plan_put(&plan).await.unwrap();
    assert_eq!(store.plan_list().await.unwrap(), std::slice::from_ref(&plan));
    let bare = Plan {
        features: [].into(),
        offer: None,
        daily_secs_max: None,
        ..plan
    };
    store.plan_put(&bare).await.unwrap();
    assert_eq!(store.plan_list().await.unwrap(), [bare]);
}

pub async fn a_voucher_gives_one_grant_to_whoever_redeems_it_first(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school
        .store
        .voucher_create(&batch(&school, "net-101"), &[hash(1), hash(2)])
        .await
        .unwrap();
    let Redeemed::Granted {
        grant, seconds, new, ..
    } = redeem(&school, "ada", 1).await
    else {
        panic!("the code is good");
    };
    assert_eq!((seconds, new), (3600, true));
    assert!(
        matches!(redeem(&school, "ada", 1).await, Redeemed::Granted { grant: same, new: false, .. } if same == grant)
    );
    assert_eq!(refused(redeem(&school, "bob", 1).await), VoucherRefusal::Used);
    assert_eq!(school.available(&"ada".into()).await, [3600]);
    assert!(school.available(&"bob".into()).await.is_empty());
    let grants = school.store.grant_list(&"ada".into(), None).await.unwrap();
    assert_eq!(
        (grants[0].grant.source.as_str(), grants[0].grant.priority),
        (source::VOUCHER, 5)
    );
    assert_eq!(
        grants[0].grant.expires_at,
        at(30 * 86_400),
        "its days count from the redemption"
    );
    let state = &school.store.voucher_list().await.unwrap()[0];
    assert_eq!((state.size, state.redeemed), (2, 1));
}

pub async fn fifty_who_redeem_a_code_at_once_get_one_grant(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school
        .store
        .voucher_create(&batch(&school, "net-101"), &[hash(1)])
        .await
        .unwrap();
    let answers = at_once(50, |i| {
        let (store, r) = (
            school.store.clone(),
            typed(&format!("s{}", i % 10), &school.course, 1, at(0)),
        );
        async move { store.voucher_redeem(&r).await.unwrap() }
    })
    .await;
    let new = answers
        .iter()
        .filter(|a| matches!(a, Redeemed::Granted { new: true, .. }));
    assert_eq!(new.count(), 1);
    let winner = answers.iter().filter(|a| matches!(a, Redeemed::Granted { .. }));
    assert_eq!(
        winner.count(),
        5,
        "each of the winner's five tabs is told that it worked"
    );
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!(sums.total, 0);
    let mut given = 0;
    for n in 0..10 {
        given += school
            .available(&format!("s{n}").as_str().into())
            .await
            .iter()
            .sum::<i64>();
    }
    assert_eq!(given, 3600);
}

pub async fn a_voucher_that_cannot_be_redeemed_says_why(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let (open, other) = (batch(&school, "net-101"), batch(&school, "web-101"));
    school
        .store
        .voucher_create(&open, &[hash(1), hash(2), hash(3)])
        .await
        .unwrap();
    school.store.voucher_create(&other, &[hash(4)]).await.unwrap();
    let late = school
        .store
        .voucher_redeem(&typed("ada", &school.course, 1, at(1000)))
        .await
        .unwrap();
    assert_eq!(refused(late), VoucherRefusal::Expired { at: at(1000) });
    let elsewhere = refused(redeem(&school, "ada", 4).await);
    assert_eq!(
        elsewhere,
        VoucherRefusal::OtherCourse {
            course: "web-101".into()
        }
    );
    assert!(matches!(redeem(&school, "ada", 2).await, Redeemed::Granted { .. }));
    school
        .store
        .voucher_revoke(open.id, "lost in the post", at(1))
        .await
        .unwrap();
    school.store.voucher_revoke(open.id, "again", at(2)).await.unwrap();
    assert_eq!(refused(redeem(&school, "bob", 3).await), VoucherRefusal::Revoked);
    assert!(
        matches!(redeem(&school, "ada", 2).await, Redeemed::Granted { new: false, .. }),
        "what was redeemed stays"
    );
    let list = school.store.voucher_list().await.unwrap();
    let revoked = list.iter().find(|b| b.batch.id == open.id).unwrap();
    assert_eq!(
        revoked.revoked,
        Some((at(1), "lost in the post".into())),
        "the first word counts"
    );
    let missing = school.store.voucher_revoke(VoucherBatchId(fresh()), "x", at(1)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

pub async fn a_voucher_of_a_course_that_is_over_gives_nothing_and_is_still_good(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    store
        .voucher_create(&batch(&school, "net-101"), &[hash(1), hash(2)])
        .await
        .unwrap();
    let run = CourseRun {
        opens_at: Some(at(-50)),
        closes_at: Some(at(500)),
        zone: Some("Africa/Dakar".into()),
        ..CourseRun::new(school.course.clone(), "Réseaux")
    };
    store.run_put(&run).await.unwrap();
    let redeem_at = async |subject: &str, code: u16, secs: i64| {
        let typed = typed(subject, &school.course, code, at(secs));
        store.voucher_redeem(&typed).await.unwrap()
    };
    assert!(matches!(
        redeem_at("ada", 1, 499).await,
        Redeemed::Granted { new: true, .. }
    ));
    let over = |closed_at| VoucherRefusal::CourseClosed {
        title: "Réseaux".into(),
        closed_at,
        zone: Some("Africa/Dakar".into()),
    };
    assert_eq!(refused(redeem_at("bob", 2, 500).await), over(at(500)));
    assert!(school.available(&"bob".into()).await.is_empty());
    assert_eq!(store.voucher_list().await.unwrap()[0].redeemed, 1, "it was not used");
    assert!(
        matches!(redeem_at("ada", 1, 600).await, Redeemed::Granted { new: false, .. }),
        "who has it already is told what it gave"
    );
    // their own end counts, and the code is as good as before
    let extension = Extension {
        course: school.course.clone(),
        subject: "bob".into(),
        until: at(800),
        given_at: at(600),
    };
    store.extension_put(&extension).await.unwrap();
    assert_eq!(refused(redeem_at("eve", 2, 700).await), over(at(500)));
    assert_eq!(refused(redeem_at("bob", 2, 800).await), over(at(800)));
    assert!(matches!(
        redeem_at("bob", 2, 799).await,
        Redeemed::Granted { new: true, .. }
    ));
    assert_eq!(school.available(&"bob".into()).await, [3600]);
}

pub async fn who_guesses_has_to_wait_and_a_right_code_is_no_guess(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school
        .store
        .voucher_create(&batch(&school, "net-101"), &[hash(1), hash(2)])
        .await
        .unwrap();
    let answers = at_once(40, |i| {
        let (store, r) = (
            school.store.clone(),
            typed("eve", &school.course, 100 + i as u16, at(0)),
        );
        async move { store.voucher_redeem(&r).await.unwrap() }
    })
    .await;
    let unknown = answers
        .into_iter()
        .map(refused)
        .filter(|r| *r == VoucherRefusal::Unknown);
    assert_eq!(
        unknown.count(),
        GUESSES_MAX as usize,
        "forty at once guess no more often than ten one by one"
    );
    assert_eq!(
        refused(redeem(&school, "eve", 1).await),
        VoucherRefusal::Guesses { again_at: at(3600) }
    );
    assert!(
        matches!(redeem(&school, "ada", 1).await, Redeemed::Granted { .. }),
        "others are not held up"
    );
    // whoever types for her has guesses of their own, and hers are not the worse for them
    for n in 0..=GUESSES_MAX {
        let mut for_zoe = typed("zoe", &school.course, 500 + n as u16, at(0));
        for_zoe.typed_by = "clerk".into();
        let expected = if n < GUESSES_MAX {
            VoucherRefusal::Unknown
        } else {
            VoucherRefusal::Guesses { again_at: at(3600) }
        };
        assert_eq!(refused(school.store.voucher_redeem(&for_zoe).await.unwrap()), expected);
    }
    assert!(matches!(redeem(&school, "zoe", 2).await, Redeemed::Granted { .. }));
    for _ in 0..2 * GUESSES_MAX {
        assert_eq!(refused(redeem(&school, "bob", 1).await), VoucherRefusal::Used);
    }
    let mut later = typed("eve", &school.course, 2, at(3600));
    later.course = "web-101".into();
    let answer = school.store.voucher_redeem(&later).await.unwrap();
    assert!(
        !matches!(refused(answer), VoucherRefusal::Guesses { .. }),
        "an hour later she may try again"
    );
}

pub async fn what_is_left_when_a_grant_ends_is_breakage(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ends = |mut g: Grant, secs| {
        g.expires_at = at(secs);
        g
    };
    let short = ends(school.grant_of("ada", "QUALIFYING", 1000), 600);
    school.store.grant_issue(&short).await.unwrap();
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    assert_eq!(session.held_secs, 900);
    assert_eq!(school.store.grants_expire(at(599)).await.unwrap(), 0);
    assert_eq!(school.store.grants_expire(at(600)).await.unwrap(), 100);
    assert_eq!(school.store.grants_expire(at(700)).await.unwrap(), 0, "once");
    // what is held goes on, and can grow no more
    assert_eq!(school.store.hold_extend(session.id, 1000, at(700)).await.unwrap(), 900);
    let mut end = used(&session, 300);
    end.at = at(800);
    let row = school.store.settle(&end).await.unwrap();
    assert_eq!(row.billed_seconds, 300);
    assert_eq!(
        school.available(&"ada".into()).await,
        [0],
        "the rest came back too late"
    );
    let breakage = entries(&school, session.id, TxKind::Settle).await;
    assert!(breakage.contains(&(Account::Breakage, 600)), "{breakage:?}");
    assert_eq!(
        school.store.ledger_recount().await.unwrap(),
        school.store.ledger_sums().await.unwrap()
    );
    assert_eq!(school.store.ledger_sums().await.unwrap().total, 0);
}

pub async fn a_grant_that_is_taken_back_keeps_what_is_held_and_gives_nothing_more(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let grant = school.grant("ada", "QUALIFYING", 2000).await;
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    assert_eq!(
        school.store.grant_void(grant, "charge-back", at(10)).await.unwrap(),
        1100
    );
    assert_eq!(school.store.grant_void(grant, "charge-back", at(11)).await.unwrap(), 0);
    assert_eq!(school.store.hold_extend(session.id, 1800, at(12)).await.unwrap(), 900);
    school.store.settle(&used(&session, 100)).await.unwrap();
    assert_eq!(school.available(&"ada".into()).await, [0]);
    let back = entries(&school, session.id, TxKind::Settle).await;
    assert!(back.contains(&(Account::Extern, 800)), "{back:?}");
    school.end(&session).await;
    let mut click = school.click("ada", "tiny");
    click.at = at(20);
    let again = school.store.admit(&click).await.unwrap();
    assert!(matches!(again, Admission::Refused(Refusal::NoLabs { .. })), "{again:?}");
    let missing = school.store.grant_void(GrantId(fresh()), "x", at(1)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

pub async fn what_makes_good_comes_from_its_own_account(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut gift = school.grant_of("ada", "QUALIFYING", 600);
    gift.source = source::GOODWILL.into();
    school.store.grant_issue(&gift).await.unwrap();
    let session = school.admitted("ada").await;
    assert_eq!(session.held_secs, 600);
    assert_eq!(school.store.grant_void(gift.id, "mistake", at(1)).await.unwrap(), 0);
    school
        .store
        .settle(&used(&school.ready(&session).await, 100))
        .await
        .unwrap();
    let back = entries(&school, session.id, TxKind::Settle).await;
    assert!(back.contains(&(Account::Goodwill, 500)), "{back:?}");
}

pub async fn a_refund_reverses_what_was_billed_once_a_reason_and_never_more(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    let refund = |secs, reason: &str| Refund {
        session: session.id,
        seconds: secs,
        reason: reason.into(),
        at: at(8000),
    };
    let early = school.store.refund(&refund(10, "platform-fault")).await;
    assert!(matches!(early, Err(StoreError::Conflict { .. })), "{early:?}");
    school.store.settle(&used(&session, 800)).await.unwrap();
    assert_eq!(school.store.refund(&refund(300, "platform-fault")).await.unwrap(), 300);
    assert_eq!(
        school.store.refund(&refund(300, "platform-fault")).await.unwrap(),
        300,
        "the same again adds nothing"
    );
    let other = school.store.refund(&refund(301, "platform-fault")).await;
    assert!(
        matches!(other, Err(StoreError::Conflict { .. })),
        "the same reason with another amount: {other:?}"
    );
    let more = school.store.refund(&refund(501, "teacher")).await;
    assert!(
        matches!(more, Err(StoreError::Conflict { .. })),
        "refunded and refunded again: {more:?}"
    );
    assert_eq!(school.store.refund(&refund(500, "teacher")).await.unwrap(), 500);
    assert!(school.store.refund(&refund(1, "once more")).await.is_err());
    assert_eq!(school.available(&session.subject).await, [3600]);
    let row = &school
        .store
        .usage_list(None, Some(&session.subject), None)
        .await
        .unwrap()[0];
    assert_eq!((row.billed_seconds, row.refunded_seconds), (800, 800));
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!((sums.total, sums.used), (0, 0));
}

pub async fn a_refund_to_a_grant_that_ended_is_said_to_be_of_no_use(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    school.store.settle(&used(&session, 800)).await.unwrap();
    let late = Refund {
        session: session.id,
        seconds: 800,
        reason: "late".into(),
        at: at(31 * 86_400),
    };
    assert_eq!(school.store.refund(&late).await.unwrap(), 0);
    assert_eq!(school.store.refund(&late).await.unwrap(), 0);
    let back = entries(&school, session.id, TxKind::Refund).await;
    assert!(back.contains(&(Account::Breakage, 800)), "{back:?}");
    assert_eq!(school.store.ledger_sums().await.unwrap().total, 0);
}

pub async fn time_that_a_session_stood_still_moves_its_end_and_is_counted(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    let deadline = session.deadline.unwrap();
    let later = |secs| move |t: &mut lab_core::port::Transition| t.at = at(secs);
    let frozen = step(&school, &session, SessionEvent::Freeze, later(100)).await;
    assert_eq!((frozen.frozen_at, frozen.frozen_us), (Some(at(100)), 0));
    assert_eq!(frozen.frozen_until(at(160)), 60_000_000);
    let thawed = step(&school, &frozen, SessionEvent::Thaw, later(160)).await;
    assert_eq!((thawed.frozen_at, thawed.frozen_us), (None, 60_000_000));
    assert_eq!(thawed.deadline, Some(deadline.plus(std::time::Duration::from_secs(60))));
    assert_eq!(thawed.active_at, at(160), "nobody could type");
    let frozen = step(&school, &thawed, SessionEvent::Freeze, later(200)).await;
    let stopping = step(&school, &frozen, SessionEvent::Stop(EndReason::BudgetSpent), later(230)).await;
    assert_eq!((stopping.frozen_at, stopping.frozen_us), (None, 90_000_000));
}

/// A transition from what the caller holds, changed.
pub(super) async fn step(
    school: &School,
    session: &Session,
    event: SessionEvent,
    change: impl FnOnce(&mut lab_core::port::Transition),
) -> Session {
    let mut t = lab_core::port::Transition {
        session: session.id,
        expect: session.revision,
        event,
        at: at(5),
        cause: "test".into(),
        ready: None,
    };
    change(&mut t);
    school.store.session_transition(&t).await.unwrap()
}

/// The entries of a session's last transaction of a kind.
async fn entries(school: &School, session: SessionId, kind: TxKind) -> Vec<(Account, i64)> {
    let all = school.store.ledger_of(session).await.unwrap();
    all.into_iter().rev().find(|t| t.kind == kind).unwrap().entries
}
