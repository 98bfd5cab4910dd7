//! What people sign in with, as keyboards, forms and operating systems spell it.

use keyward_testkit::{PASSWORD, Trial, database_test, flow_test};
use serde_json::json;

use super::{MARA, with_schema};

const SPELLINGS: [&str; 5] =
    [" mara@example.org", "mara@example.org ", "mara@example.org\t", "mara@example.org\u{a0}", "\u{200b}mara@example.org"];

#[flow_test]
async fn name_01_white_space_around_an_address(t: Trial) {
    let mara = t.signed_up(MARA).await;
    for (number, spelling) in SPELLINGS.into_iter().enumerate() {
        t.signed_in(spelling).await;
        let stranger = t.person();
        let flow = stranger.init("registration", "").await;
        let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": spelling } });
        assert_eq!(stranger.submit(&flow, fields).await.form().messages(), [4_000_007], "{spelling:?}");

        // A change of one's own is stored clean, and is no change when nothing else differs.
        let flow = mara.init("settings", "").await;
        let fields = json!({ "method": "profile", "traits": { "email": spelling, "nickname": format!("Mara {number}") } });
        mara.submit(&flow, fields).await.saved();
        let identity = mara.whoami().await["identity"].clone();
        assert_eq!(identity["traits"]["email"], MARA);
        assert_eq!(identity["verifiable_addresses"][0]["value"], MARA);

        // Somebody else's in settings.
        let other = t.person();
        other.sign_up(&format!("other{number}@example.org"), PASSWORD).await;
        let flow = other.init("settings", "").await;
        let fields = json!({ "method": "profile", "traits": { "email": spelling } });
        assert_eq!(other.submit(&flow, fields).await.form().messages(), [4_000_007], "{spelling:?}");
    }
    // Registered with it.
    let late = t.person();
    late.sign_up("\u{200b}late@example.org\u{a0} ", PASSWORD).await;
    let identity = late.whoami().await["identity"].clone();
    assert_eq!(identity["traits"]["email"], "late@example.org");
    t.signed_in("late@example.org").await;
}

#[flow_test]
async fn name_03_a_plus_in_an_address(t: Trial) {
    let shop = t.signed_up("mara+shop@example.org").await;
    t.signed_up(MARA).await;
    let shop = [shop.id().await.to_string()];
    let found = async |query: &str| -> Vec<String> {
        let path = format!("/admin/identities?credentials_identifier={query}");
        let list = t.admin().call("GET", &path).await.expect(200).json();
        list.as_array().unwrap().iter().map(|identity| identity["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("mara%2Bshop%40example.org").await, shop);
    // A raw plus is a space by the rules of forms, and no address has one before its sign.
    assert_eq!(found("mara+shop@example.org").await, shop);
    assert_eq!(found("mara%20shop%40example.org").await, shop);
    assert_eq!(found("mara%40example.org").await, [t.signed_in(MARA).await.id().await.to_string()], "another account");
    assert_eq!(found("nobody+shop%40example.org").await.len(), 0);
    t.signed_in("mara+shop@example.org").await;
}

fn names() -> keyward_testkit::Value {
    with_schema(&json!({
        "type": "object",
        "properties": { "email": { "type": "string", "title": "Name", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } } },
        "required": ["email"],
    }))
}

/// Two spellings of one name.
const PAIRS: [(&str, &str); 4] =
    [("j\u{fc}rgen", "ju\u{308}rgen"), ("ｍａｒａ", "mara"), ("\u{fb01}n", "fin"), ("Stra\u{df}e", "STRA\u{df}E")];

#[flow_test(config = names())]
async fn name_05_the_same_letters_in_two_unicode_forms(t: Trial) {
    let taken = async |name: &str| {
        let person = t.person();
        let flow = person.init("registration", "").await;
        let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": name } });
        person.submit(&flow, fields).await
    };
    for (one, other) in PAIRS {
        t.person().sign_up(one, PASSWORD).await;
        t.signed_in(other).await;
        t.signed_in(one).await;
        assert_eq!(taken(other).await.form().messages(), [4_000_007], "{other}");
    }
    for hidden in ["ma\u{202e}ra", "ma\u{200f}ra", "ma\u{7}ra", "ma\nra"] {
        let form = taken(hidden).await.form();
        assert!(!form.messages_at("traits.email").is_empty(), "{hidden:?}: {:?}", form.all_messages());
        t.person().sign_in(hidden, PASSWORD).await.form();
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 4);
}

/// Everybody wants the name at the same moment, in one of its spellings.
#[database_test(config = names())]
async fn name_05_one_of_many_gets_the_name(t: Trial) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let t = t.clone();
        tasks.spawn(async move {
            let person = t.person();
            let flow = person.init("registration", "").await;
            let name = if number % 2 == 0 { PAIRS[0].0 } else { PAIRS[0].1 };
            let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": name } });
            let submitted = person.submit(&flow, fields).await;
            if submitted.is_done() {
                return true;
            }
            // Too many at once is told as such; every other refusal is about the name.
            assert!(submitted.reply.status == 503 || submitted.form().messages() == [4_000_007]);
            false
        });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!((won, t.store().count_identities().await.unwrap()), (1, 1));
}
