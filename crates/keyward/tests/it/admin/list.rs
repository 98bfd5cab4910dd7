//! Lists of identities: filters, both paginations, and a walk over many.

use std::collections::BTreeSet;

use keyward_testkit::{Reply, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

async fn many(t: &Trial, count: usize) {
    for start in (0..count).step_by(500) {
        let entries: Vec<_> = (start..count.min(start + 500))
            .map(|number| json!({ "create": person(&format!("p{number:04}@example.org")) }))
            .collect();
        let answer =
            t.admin().call("PATCH", "/admin/identities").json(&json!({ "identities": entries })).await.expect(200).json();
        assert!(answer["identities"].as_array().unwrap().iter().all(|result| result["action"] == "create"), "{answer}");
    }
}

fn link(reply: &Reply, relation: &str) -> Option<String> {
    let links = reply.header("link")?;
    let link = links.split(',').find(|link| link.ends_with(&format!("rel=\"{relation}\"")))?;
    Some(link.trim_start_matches('<').split('>').next()?.to_owned())
}

// cases: R-90
#[database_test]
async fn a_walk_meets_everybody_exactly_once(t: Trial) {
    many(&t, 700).await;
    for size in [37, 100, 350, 500, 700, 5_000] {
        let mut seen = BTreeSet::new();
        let mut pages = 0;
        let mut next = Some(format!("/admin/identities?page_size={size}"));
        while let Some(path) = next {
            let reply = t.admin().call("GET", &path).await.expect(200);
            assert!(reply.header("x-total-count").is_none());
            for identity in reply.json().as_array().unwrap() {
                assert!(seen.insert(id_of(identity)), "met twice");
                assert!(identity.get("credentials").is_none() && identity.get("metadata_admin").is_some());
            }
            pages += 1;
            next = link(&reply, "next");
        }
        assert_eq!(seen.len(), 700, "{size}");
        assert_eq!(pages, 700_usize.div_ceil(size.min(500)), "{size}");
    }
    let reply = t.admin().call("GET", "/admin/identities").await.expect(200);
    assert_eq!(reply.json().as_array().map(Vec::len), Some(250));
    let start = "</admin/identities?page_size=250&page_token=00000000-0000-0000-0000-000000000000>; rel=\"first\"";
    assert!(reply.header("link").unwrap().starts_with(start), "{reply:?}");
}

// No case of its own in the list.
#[database_test]
async fn legacy_pages_count_and_name_their_neighbours(t: Trial) {
    many(&t, 5).await;
    let relations = |reply: &Reply| {
        let links = reply.header("link").unwrap_or_default();
        links.split("rel=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>().join(",")
    };
    let mut seen = BTreeSet::new();
    for (page, size, expected) in [(0, 2, "next,last"), (1, 2, "first,next,prev,last"), (2, 1, "first,prev")] {
        let reply = t.admin().call("GET", &format!("/admin/identities?page={page}&per_page=2")).await.expect(200);
        assert_eq!(reply.header("x-total-count"), Some("5"));
        assert_eq!(relations(&reply), expected, "{page}");
        let identities = reply.json();
        assert_eq!(identities.as_array().map(Vec::len), Some(size));
        seen.extend(identities.as_array().unwrap().iter().map(id_of));
    }
    assert_eq!(seen.len(), 5);
    let single = t.admin().call("GET", "/admin/identities?page=0&per_page=250").await.expect(200);
    assert_eq!(relations(&single), "first");
}

// cases: R-92
#[database_test]
async fn filters_find_what_they_say(t: Trial) {
    let admin = t.admin();
    let mut linked = person("ada@example.org");
    linked["credentials"] = json!({ "oidc": { "config": { "providers": [{ "provider": "Google", "subject": "Sub-1" }] } } });
    let ada = id_of(&admin.create(&linked).await);
    let bob = id_of(&admin.create(&person("adam@example.org")).await);
    let found = async |query: &str| {
        let reply = t.admin().call("GET", &format!("/admin/identities?{query}")).await.expect(200).json();
        reply.as_array().unwrap().clone()
    };
    for (query, expected) in [
        (format!("ids={ada}&ids={bob}"), vec![ada, bob]),
        (format!("ids={ada},{bob}"), vec![ada, bob]),
        (format!("ids={ada}&ids=7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d"), vec![ada]),
        ("credentials_identifier=ADA%40example.org".into(), vec![ada]),
        ("credentials_identifier=Google%3ASub-1".into(), vec![ada]),
        ("credentials_identifier=google%3Asub-1".into(), vec![]),
        ("credentials_identifier=ad".into(), vec![]),
        ("preview_credentials_identifier_similar=Ad".into(), vec![ada, bob]),
        ("preview_credentials_identifier_similar=adam".into(), vec![bob]),
        ("preview_credentials_identifier_similar=%25".into(), vec![]),
        ("preview_credentials_identifier_similar=_da".into(), vec![]),
        ("organization_id=7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d".into(), vec![]),
        ("consistency=eventual".into(), vec![ada, bob]),
    ] {
        let ids: BTreeSet<_> = found(&query).await.iter().map(id_of).collect();
        assert_eq!(ids, expected.into_iter().collect(), "{query}");
    }
    let shown = found("credentials_identifier=ada%40example.org").await;
    assert_eq!(shown[0]["credentials"]["oidc"]["identifiers"], json!(["Google:Sub-1"]));
    assert!(shown[0]["credentials"]["oidc"].get("config").is_none());
    let shown = found(&format!("ids={ada}&include_credential=oidc&include_credential=deviceauthn")).await;
    assert_eq!(shown[0]["credentials"]["oidc"]["config"]["providers"][0]["subject"], "Sub-1");
    assert_eq!(shown[0]["metadata_admin"], Value::Null);
    // A prefix pages like the whole list.
    let first =
        t.admin().call("GET", "/admin/identities?preview_credentials_identifier_similar=ad&page_size=1").await.expect(200);
    let second = t.admin().call("GET", &link(&first, "next").expect("a next page")).await.expect(200);
    assert_ne!(id_of(&first.json()[0]), id_of(&second.json()[0]));
    assert_eq!(link(&second, "next"), None);
}

// cases: R-91
#[database_test]
async fn unusable_parameters_are_refused(t: Trial) {
    let id = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
    let too_many = vec![format!("ids={id}"); 501].join("&");
    for query in [
        &format!("ids={id}&credentials_identifier=x"),
        "credentials_identifier=x&preview_credentials_identifier_similar=x",
        &format!("organization_id={id}&ids={id}"),
        "ids=nope",
        &too_many,
        "organization_id=nope",
        "include_credential=foo",
        "page_token=nope",
        &format!("page_token={id}"),
        "page=x",
        "page_size=-1",
        "page=501&per_page=2",
    ] {
        let told = error(&t.admin().call("GET", &format!("/admin/identities?{query}")).await, 400);
        assert!(told["reason"].is_string(), "{query}: {told}");
    }
}
