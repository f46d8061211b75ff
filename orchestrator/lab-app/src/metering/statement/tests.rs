use super::*;
use lab_core::{
    GrantId, SessionId, Timestamp,
    courses::SiteKind,
    entitlement::{Bilingual, Grant, Sale},
    metering::{Account, StatementFacts, StatementGrant, StatementSession, Transaction, TxKind, UsageRow},
};
use uuid::Uuid;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// A learner with an hour, half of it used.
fn file(subject: &str) -> StatementFile {
    let (grant, session) = (GrantId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
    let transaction = |kind, key: &str, of: Option<SessionId>, when, entries| Transaction {
        kind,
        key: key.into(),
        session: of,
        reason: None,
        occurred_at: when,
        entries,
    };
    let facts = StatementFacts {
        grants: vec![StatementGrant {
            grant: Grant {
                id: grant,
                subject: subject.into(),
                course: "réseaux".into(),
                plan: "Q".into(),
                seconds: 3600,
                priority: 0,
                effective_at: at(0),
                expires_at: at(1_000_000),
                created_at: at(0),
                source: "voucher".into(),
                sponsor: None,
            },
            voided_at: None,
            sale: None,
        }],
        sessions: vec![StatementSession {
            usage: UsageRow {
                session,
                subject: subject.into(),
                course: "réseaux".into(),
                lab: "ospf".into(),
                requested_at: at(10),
                sandbox_seconds: 1900,
                billed_seconds: 1800,
                refunded_seconds: 0,
                unbilled_seconds: 100,
                unbilled_reason: Some("frozen+past-hold".into()),
                cost_micro_eur: Some(1_234_567),
            },
            settled_at: at(2000),
        }],
        transactions: vec![
            transaction(
                TxKind::Issue,
                "issue/1",
                None,
                at(0),
                vec![(Account::Extern, -3600), (Account::Grant(grant), 3600)],
            ),
            transaction(
                TxKind::Reserve,
                "reserve/2/0",
                Some(session),
                at(10),
                vec![(Account::Grant(grant), -2000), (Account::Hold(session), 2000)],
            ),
            transaction(
                TxKind::Settle,
                "settle/2",
                Some(session),
                at(2000),
                vec![
                    (Account::Hold(session), -2000),
                    (Account::Used("réseaux".into()), 1800),
                    (Account::Grant(grant), 200),
                ],
            ),
        ],
        site_kind: None,
    };
    let period = Period {
        from: at(-100),
        until: at(5000),
    };
    let statement = Statement::new(StatementOf::Learner(subject.into()), period, &facts);
    assert_eq!(statement.disagreements(), Vec::<String>::new());
    StatementFile {
        statement,
        overhead: Vec::new(),
    }
}

/// The same, sold by a school that it is the statement of.
fn sold() -> StatementFile {
    let mut file = file("ada");
    file.statement.of = StatementOf::Site("dakar".into());
    file.statement.site_kind = Some(SiteKind::School);
    file.statement.grants[0].sale = Some(Sale {
        reseller: Some("ESP Dakar".into()),
        price: Some(Bilingual {
            en: "100,000 FCFA".into(),
            fr: "100 000 FCFA".into(),
        }),
    });
    file
}

#[test]
fn what_a_reseller_sold_it_for_and_what_kind_of_place_it_is_stand_on_it_in_both_languages() {
    let text = |format, language| String::from_utf8(sold().written(format, language)).unwrap();
    let english = text(StatementFormat::Table, Language::En);
    assert!(
        english.starts_with("Lab time statement · site dakar (school)"),
        "{english}"
    );
    assert!(english.contains("1 × 100,000 FCFA (ESP Dakar)"), "{english}");
    let french = text(StatementFormat::Html, Language::Fr);
    assert!(french.contains("site dakar (école)") && french.contains("1 × 100 000 FCFA (ESP Dakar)"));
    assert!(
        french.contains("<td>100 000 FCFA (ESP Dakar)</td>"),
        "on the grant's own row"
    );
    let csv = text(StatementFormat::Csv, Language::En);
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",reseller,price_en,price_fr,site_kind"));
    assert!(
        rows[1].ends_with(",ESP Dakar,\"100,000 FCFA\",100 000 FCFA,"),
        "{}",
        rows[1]
    );
    assert!(rows[3].ends_with(",,,,school"), "{}", rows[3]);
    let json: serde_json::Value = serde_json::from_str(&text(StatementFormat::Json, Language::En)).unwrap();
    assert_eq!(json["site_kind"], "school");
    assert_eq!(json["grants"][0]["sale"]["price"]["en"], "100,000 FCFA");
}

fn text(subject: &str, format: StatementFormat, language: Language) -> String {
    String::from_utf8(file(subject).written(format, language)).unwrap()
}

#[test]
fn every_format_says_what_was_used_and_what_is_left_in_both_languages() {
    let english = text("ada", StatementFormat::Table, Language::En);
    assert!(
        english.contains("0:30:00") && english.contains("stood still, while it stopped"),
        "{english}"
    );
    assert!(english.contains("Cost of machines") && english.contains("1.23 €"));
    let french = text("ada", StatementFormat::Html, Language::Fr);
    assert!(
        french.contains("lang=\"fr\"") && french.contains("Remboursé") && french.contains("en pause, pendant l’arrêt")
    );
    let csv = text("ada", StatementFormat::Csv, Language::En);
    let columns = csv.lines().next().unwrap().split(',').count();
    for line in csv.lines() {
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
    assert!(csv.contains("total,ada,1,"));
    let json: serde_json::Value = serde_json::from_str(&text("ada", StatementFormat::Json, Language::En)).unwrap();
    assert_eq!(json["totals"]["used"], 1800);
    assert_eq!(json["totals"]["closing"], 1800);
    assert_eq!(json["sessions"][0]["unbilled_seconds"], 100);
}

#[test]
fn no_table_has_two_columns_of_one_name_in_either_language() {
    for language in [Language::En, Language::Fr] {
        for table in sheet::of(&file("ada"), language).tables {
            let heads: std::collections::BTreeSet<&str> = table.columns.iter().map(|c| c.head.as_str()).collect();
            assert_eq!(heads.len(), table.columns.len(), "{}: {heads:?}", table.caption);
        }
    }
}

#[test]
fn a_name_is_text_on_a_page_in_a_spreadsheet_and_in_a_terminal() {
    assert!(!text("<script>x</script>", StatementFormat::Html, Language::En).contains("<script"));
    assert!(text("=1+1", StatementFormat::Csv, Language::En).contains("\"'=1+1\""));
    assert!(!text("a\u{1b}[2J", StatementFormat::Table, Language::En).contains('\u{1b}'));
}

#[test]
fn a_pdf_has_its_fonts_inside_and_its_letters_can_be_found_again() {
    let pdf = file("Zoé Œuvrard 漢").written(StatementFormat::Pdf, Language::Fr);
    assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF"));
    let has = |needle: &[u8]| pdf.windows(needle.len()).any(|w| w == needle);
    assert!(has(b"/FontFile2") && has(b"/ToUnicode") && has(b"Identity-H"));
}
