//! The description is committed: the page's client is made from it, and a change of it is seen in review.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_committed_description_is_what_the_handlers_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = lab_http::openapi_json();
    if std::env::var_os("LABWIRE_BLESS").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == now,
        "orchestrator/lab-http/openapi.json is not what the handlers say: run `LABWIRE_BLESS=1 cargo test -p lab-http openapi`, \
         then make the page's client again, and commit both"
    );
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let document: serde_json::Value = serde_json::from_str(&lab_http::openapi_json()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routed: BTreeSet<_> = lab_http::routes()
        .into_iter()
        // a description has no word for "and everything below"
        .map(|(m, path, _)| (m.to_string(), path.replace("{*", "{")))
        .collect();
    assert_eq!(described, routed);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(&lab_http::openapi_json()).unwrap();
    let operations = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let mut seen = BTreeSet::new();
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(seen.insert(id), "{id} twice: a client made from this would lose one");
    }
}
