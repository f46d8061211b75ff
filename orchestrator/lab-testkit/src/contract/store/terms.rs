//! What batches of vouchers were agreed on: trials and resellers.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    TokenHash, VoucherBatchId,
    courses::{CourseRun, Enrolment, Site, SiteKind},
    entitlement::{Bilingual, Giver, Grant, Redeemed, Redemption, VoucherBatch, VoucherRefusal, VoucherTerms},
    metering::{Period, Statement, StatementOf},
    port::{EnrolRequest, Store, StoreError},
};
use std::{ops::Range, sync::Arc};

fn hash(n: u8) -> TokenHash {
    let mut bytes = [11; 32];
    bytes[0] = n;
    TokenHash(bytes)
}

async fn batch(school: &School, codes: u8, seconds: i64, terms: &VoucherTerms) -> VoucherBatchId {
    batch_of(school, 0..codes, seconds, terms).await
}

async fn batch_of(school: &School, codes: Range<u8>, seconds: i64, terms: &VoucherTerms) -> VoucherBatchId {
    let batch = VoucherBatch {
        id: VoucherBatchId(fresh()),
        label: "trial".into(),
        course: school.course.clone(),
        plan: "QUALIFYING".into(),
        seconds,
        valid_days: 30,
        priority: 0,
        created_at: at(-100),
        expires_at: at(100_000),
        key: "k1".into(),
        sponsor: Some("acme".into()),
    };
    school.store.voucher_terms_put(batch.id, terms).await.unwrap();
    let hashes: Vec<_> = codes.map(hash).collect();
    school.store.voucher_create(&batch, &hashes).await.unwrap();
    batch.id
}

fn redemption(school: &School, subject: &str, code: u8) -> Redemption {
    Redemption {
        hashes: vec![hash(code)],
        subject: subject.into(),
        typed_by: subject.into(),
        course: school.course.clone(),
        at: at(0),
    }
}

async fn redeem(school: &School, subject: &str, code: u8) -> Redeemed {
    let redemption = redemption(school, subject, code);
    school.store.voucher_redeem(&redemption).await.unwrap()
}

fn trial(pot: i64) -> VoucherTerms {
    VoucherTerms {
        trial: Some("acme".into()),
        pot: Some(pot),
        until: Some(at(50_000)),
        ..VoucherTerms::default()
    }
}

pub async fn a_trials_pot_is_given_exactly_and_a_person_has_one_seat(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    // 20 codes of an hour each, and six and a half hours in all
    batch(&school, 20, 3600, &trial(23_400)).await;
    let all: Vec<_> = (0..20)
        .map(|i| redemption(&school, &format!("learner-{i}"), i))
        .collect();
    let all = Arc::new(all);
    let answers = at_once(20, |i| {
        let (store, all) = (school.store.clone(), Arc::clone(&all));
        async move { store.voucher_redeem(&all[i]).await.unwrap() }
    })
    .await;
    let mut given = Vec::new();
    for answer in &answers {
        match answer {
            Redeemed::Granted {
                seconds, expires_at, ..
            } => {
                assert_eq!(*expires_at, at(50_000), "the trial's end, not the plan's days");
                given.push(*seconds);
            }
            Redeemed::Refused(refusal) => assert_eq!(*refusal, VoucherRefusal::PotEmpty),
        }
    }
    given.sort_unstable();
    assert_eq!(given, [1800, 3600, 3600, 3600, 3600, 3600, 3600]);
    assert_eq!(school.store.ledger_sums().await.unwrap().total, 0);
    let seated = answers
        .iter()
        .position(|a| matches!(a, Redeemed::Granted { .. }))
        .unwrap();
    let free = answers.iter().position(|a| matches!(a, Redeemed::Refused(_))).unwrap();
    let (who, code) = (format!("learner-{seated}"), u8::try_from(free).unwrap());
    assert_eq!(
        redeem(&school, &who, code).await,
        Redeemed::Refused(VoucherRefusal::Seated)
    );
    let own = u8::try_from(seated).unwrap();
    assert!(matches!(
        redeem(&school, &who, own).await,
        Redeemed::Granted { new: false, .. }
    ));
}

/// Fifty clicks in the same moment: who was given something, and who was refused.
async fn fifty_at_once(school: &School, click: impl Fn(u8) -> Redemption) -> (Vec<Redeemed>, Vec<Redeemed>) {
    let all: Arc<Vec<_>> = Arc::new((0..50).map(click).collect());
    let answers = at_once(50, |i| {
        let (store, all) = (school.store.clone(), Arc::clone(&all));
        async move { store.voucher_redeem(&all[i]).await.unwrap() }
    })
    .await;
    answers.into_iter().partition(|a| matches!(a, Redeemed::Granted { .. }))
}

pub async fn a_person_has_one_seat_of_a_trial_whichever_batch_it_is_of(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    // two batches of one trial, 25 seats each: whoever is seated is so for both, also of 50 clicks at once
    batch_of(&school, 0..25, 3600, &trial(1_000_000)).await;
    batch_of(&school, 25..50, 3600, &trial(1_000_000)).await;
    let (seats, refused) = fifty_at_once(&school, |i| redemption(&school, "ada", i)).await;
    assert_eq!(seats.len(), 1);
    assert!(
        refused.iter().all(|a| *a == Redeemed::Refused(VoucherRefusal::Seated)),
        "{refused:?}"
    );
    assert_eq!(school.available(&"ada".into()).await, [3600]);
    // a trial of somebody else is another one, and so is one of the same company after this has ended
    let other = VoucherTerms {
        trial: Some("other".into()),
        ..trial(3600)
    };
    batch_of(&school, 50..51, 3600, &other).await;
    assert!(matches!(redeem(&school, "ada", 50).await, Redeemed::Granted { .. }));
    let next = VoucherTerms {
        until: Some(at(90_000)),
        ..trial(3600)
    };
    batch_of(&school, 51..52, 3600, &next).await;
    let mut later = redemption(&school, "ada", 51);
    assert_eq!(
        school.store.voucher_redeem(&later).await.unwrap(),
        Redeemed::Refused(VoucherRefusal::Seated)
    );
    later.at = at(50_000);
    let seated = school.store.voucher_redeem(&later).await.unwrap();
    assert!(matches!(seated, Redeemed::Granted { new: true, .. }), "{seated:?}");
}

pub async fn fifty_who_want_a_seat_at_once_take_exactly_the_seats_there_are(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    batch(&school, 20, 3600, &trial(1_000_000)).await;
    // more people than codes: some have the same code, as when a paper is copied
    let (seats, refused) = fifty_at_once(&school, |i| redemption(&school, &format!("learner-{i}"), i % 20)).await;
    assert_eq!(seats.len(), 20);
    assert!(
        refused.iter().all(|a| *a == Redeemed::Refused(VoucherRefusal::Used)),
        "{refused:?}"
    );
    let told = &school.store.voucher_terms_list().await.unwrap()[0];
    assert_eq!((told.seats.len(), told.sums().0), (20, 20 * 3600));
    let state = &school.store.voucher_list().await.unwrap()[0];
    assert_eq!((state.size, state.redeemed), (20, 20));
}

pub async fn what_a_trial_gave_is_told_by_seat_and_by_lab(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let id = batch(&school, 3, 3600, &trial(10_800)).await;
    for (code, subject) in [(0, "ada"), (1, "bob")] {
        redeem(&school, subject, code).await;
    }
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    school.end(&session).await;
    school.store.settle(&used(&session, 500)).await.unwrap();
    school.admitted("bob").await;
    let all = school.store.voucher_terms_list().await.unwrap();
    let [told] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((told.batch, &told.terms), (id, &trial(10_800)));
    let mut drawn: Vec<i64> = told.seats.iter().map(|s| s.drawn).collect();
    drawn.sort_unstable();
    assert_eq!(
        (drawn, told.sums()),
        (vec![500, 900], (7200, 1400)),
        "what is held counts"
    );
    assert_eq!(told.labs().into_iter().collect::<Vec<_>>(), [(&school.lab, 2)]);
}

/// ESP Dakar: 75 students, 100,000 FCFA each, paid there.
pub async fn a_resellers_terms_are_kept_as_they_were_agreed(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let text = |en: &str, fr: &str| Bilingual {
        en: en.into(),
        fr: fr.into(),
    };
    let terms = VoucherTerms {
        reseller: Some("ESP Dakar".into()),
        price: Some(text("100,000 FCFA", "100 000 FCFA")),
        credit: Some(text("IMT-ESP certificate", "Certificat IMT-ESP")),
        site: Some("dakar".into()),
        ..VoucherTerms::default()
    };
    let id = batch(&school, 75, 3600, &terms).await;
    // a batch that was never made is nobody's
    school
        .store
        .voucher_terms_put(VoucherBatchId(fresh()), &terms)
        .await
        .unwrap();
    for code in 0..2 {
        assert!(
            matches!(
                redeem(&school, "ada", code).await,
                Redeemed::Granted { seconds: 3600, .. }
            ),
            "no trial: two codes are two hours"
        );
    }
    let all = school.store.voucher_terms_list().await.unwrap();
    let [told] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((told.batch, &told.terms, told.seats.len()), (id, &terms, 2));
    // the price stands on every statement of what the codes gave, and stays what it was
    let dearer = VoucherTerms {
        price: Some(text("120,000 FCFA", "120 000 FCFA")),
        ..terms.clone()
    };
    let refused = school.store.voucher_terms_put(id, &dearer).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    school.grant("ada", "QUALIFYING", 600).await;
    for of in [
        StatementOf::Sponsor("acme".into()),
        StatementOf::Course(school.course.clone()),
        StatementOf::Site("dakar".into()),
        StatementOf::Learner("ada".into()),
    ] {
        let told = statement(&school, of).await;
        let sold = told.grants.iter().filter(|g| g.sale == terms.sale());
        assert_eq!(sold.count(), 2, "{:?}", told.of);
        let others = told.grants.iter().filter(|g| g.sale.is_none());
        assert!(others.into_iter().all(|g| g.grant.source == "manual"));
    }
}

async fn statement(school: &School, of: StatementOf) -> Statement {
    let facts = school.store.statement_facts(&of, at(9000)).await.unwrap();
    let period = Period {
        from: at(-9000),
        until: at(9000),
    };
    Statement::new(of, period, &facts)
}

pub async fn a_sites_kind_is_the_last_that_was_said_and_stands_on_its_statement(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let site = |id: &str, kind| Site { id: id.into(), kind };
    let kind = async |id: &str| statement(&school, StatementOf::Site(id.into())).await.site_kind;
    assert_eq!(kind("dakar").await, None);
    store.site_put(&site("dakar", SiteKind::Company)).await.unwrap();
    store.site_put(&site("brest", SiteKind::FabLab)).await.unwrap();
    // a list of people says it, and is taken whole
    let request = EnrolRequest {
        course: school.course.clone(),
        people: Vec::new(),
        plans: Vec::new(),
        sites: vec![site("dakar", SiteKind::School), site("acme", SiteKind::Company)],
        at: at(0),
    };
    store.enrol(&request).await.unwrap();
    assert_eq!(
        store.site_list().await.unwrap(),
        [
            site("acme", SiteKind::Company),
            site("brest", SiteKind::FabLab),
            site("dakar", SiteKind::School)
        ]
    );
    assert_eq!(kind("dakar").await, Some(SiteKind::School));
    assert_eq!(
        statement(&school, StatementOf::Learner("dakar".into())).await.site_kind,
        None
    );
}

pub async fn a_learners_brand_is_their_sites_by_the_list_then_by_what_was_given_then_the_courses(
    store: Arc<dyn Store>,
) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let of = async |subject: &str| {
        let brand = store.brand_of(&school.course, &subject.into()).await.unwrap();
        brand.map(|b| b.en)
    };
    let say = async |site: &str, text: Option<&str>| {
        let brand = text.map(|text| Bilingual {
            en: text.into(),
            fr: format!("{text}, en français"),
        });
        store.brand_put(&site.into(), brand.as_ref()).await.unwrap();
    };
    say("acme", Some("Acme's trial")).await;
    say("brest", Some("FabLab de Brest")).await;
    let at_site = |site: &str| VoucherTerms {
        site: Some(site.into()),
        ..VoucherTerms::default()
    };
    batch_of(&school, 0..1, 3600, &at_site("acme")).await;
    batch_of(&school, 1..2, 3600, &at_site("nameless")).await;
    assert_eq!(of("ada").await, None, "of no site at all");
    redeem(&school, "ada", 0).await;
    redeem(&school, "ada", 1).await;
    assert_eq!(
        of("ada").await.as_deref(),
        Some("Acme's trial"),
        "a site without a brand hides none"
    );
    assert_eq!(of("bob").await, None);
    let elsewhere = store.brand_of(&"elsewhere".into(), &"ada".into()).await.unwrap();
    assert_eq!(elsewhere, None, "what was given in one course is of that course");
    // the list of a course knows it best
    let mut ada = enrolment(&school, "ada", Some("brest"));
    store.enrol(&listed(&school, &ada)).await.unwrap();
    assert_eq!(of("ada").await.as_deref(), Some("FabLab de Brest"));
    ada.site = None;
    store.enrol(&listed(&school, &ada)).await.unwrap();
    assert_eq!(of("ada").await.as_deref(), Some("Acme's trial"));
    // whoever is of no site is of the course's
    let run = CourseRun {
        site: Some("dakar".into()),
        ..CourseRun::new(school.course.clone(), "Networks")
    };
    store.run_put(&run).await.unwrap();
    assert_eq!(of("bob").await, None, "it has no brand yet");
    say("dakar", Some("first")).await;
    say("dakar", Some("ESP Dakar")).await;
    assert_eq!(of("bob").await.as_deref(), Some("ESP Dakar"));
    let all = store.brand_list().await.unwrap();
    let told: Vec<_> = all.iter().map(|(site, b)| (site.as_str(), b.fr.as_str())).collect();
    assert_eq!(
        told,
        [
            ("acme", "Acme's trial, en français"),
            ("brest", "FabLab de Brest, en français"),
            ("dakar", "ESP Dakar, en français")
        ]
    );
    say("acme", None).await;
    say("acme", None).await;
    assert_eq!(of("ada").await.as_deref(), Some("ESP Dakar"));
}

fn enrolment(school: &School, subject: &str, site: Option<&str>) -> Enrolment {
    Enrolment {
        course: school.course.clone(),
        subject: subject.into(),
        name: subject.into(),
        cohort: None,
        site: site.map(Into::into),
        coach: None,
        external: None,
        plan: None,
        enrolled_at: at(10),
    }
}

fn listed(school: &School, person: &Enrolment) -> EnrolRequest {
    EnrolRequest {
        course: school.course.clone(),
        people: vec![person.clone()],
        plans: Vec::new(),
        sites: Vec::new(),
        at: at(10),
    }
}

pub async fn a_sites_statement_has_what_was_given_there_and_nothing_else(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let dakar = VoucherTerms {
        site: Some("dakar".into()),
        ..VoucherTerms::default()
    };
    batch(&school, 2, 3600, &dakar).await;
    redeem(&school, "ada", 0).await;
    // of a registration there, and of nowhere
    let giver = Giver {
        source: "lti:esp".into(),
        site: Some("dakar".into()),
        ..Giver::default()
    };
    store.giver_put(&giver).await.unwrap();
    let launched = Grant {
        source: "lti:esp".into(),
        ..school.grant_of("bob", "QUALIFYING", 1200)
    };
    store.grant_issue_within(&launched).await.unwrap();
    school.grant("ada", "QUALIFYING", 600).await;
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    school.end(&session).await;
    store.settle(&used(&session, 700)).await.unwrap();
    let statement = async |site: &str| statement(&school, StatementOf::Site(site.into())).await;
    let told = statement("dakar").await;
    assert_eq!(told.disagreements(), Vec::<String>::new());
    assert_eq!(
        (told.grants.len(), told.totals.flow.given, told.totals.learners),
        (2, 4800, 2)
    );
    let drawn: i64 = store.voucher_terms_list().await.unwrap()[0].sums().1;
    assert_eq!(
        told.totals.flow.used, drawn,
        "what other grants paid of the same lab is not the site's"
    );
    assert!(statement("rabat").await.grants.is_empty());
}
