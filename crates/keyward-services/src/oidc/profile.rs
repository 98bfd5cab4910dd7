//! What providers without id tokens tell about a person, as the standard claims (OpenID Connect Core 1.0, section 5.1).
//! The exchange hands each answer to the one function that knows its fields.
//! Believes an address to be verified only where the provider says so in so many words.

use serde_json::{Map, Value, json};

use super::exchange::Claims;

/// Claims of pairs: what is absent or empty is left out. `None` without a subject.
fn claims(subject: &Value, pairs: &[(&str, &Value)]) -> Option<Claims> {
    let subject = match subject {
        Value::String(text) if !text.is_empty() => text.clone(),
        // Numbers are names to some.
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return None,
    };
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), subject.into());
    for (name, value) in pairs {
        let keep = match value {
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) => true,
            _ => false,
        };
        if keep {
            claims.insert((*name).to_owned(), (*value).clone());
        }
    }
    Some(claims)
}

pub(super) fn github(user: &Value) -> Option<Claims> {
    let pairs = [
        ("name", &user["name"]),
        ("nickname", &user["login"]),
        ("preferred_username", &user["login"]),
        ("picture", &user["avatar_url"]),
        ("profile", &user["html_url"]),
        ("website", &user["blog"]),
        // The public one; whether it is theirs is only told with the list of all.
        ("email", &user["email"]),
    ];
    claims(&user["id"], &pairs)
}

/// The primary address of GitHub's list, with what GitHub knows about it.
pub(super) fn primary_email(list: &Value) -> Claims {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = list.iter().find(|one| one["primary"] == true).filter(|one| one["email"].is_string());
    let mut claims = Map::new();
    if let Some(primary) = primary {
        claims.insert("email".to_owned(), primary["email"].clone());
        claims.insert("email_verified".to_owned(), (primary["verified"] == true).into());
    }
    claims
}

pub(super) fn discord(user: &Value) -> Option<Claims> {
    let picture = match (user["id"].as_str(), user["avatar"].as_str()) {
        (Some(id), Some(avatar)) => json!(format!("https://cdn.discordapp.com/avatars/{id}/{avatar}.png")),
        _ => Value::Null,
    };
    let name = if user["global_name"].is_string() { &user["global_name"] } else { &user["username"] };
    let pairs = [
        ("name", name),
        ("nickname", &user["username"]),
        ("preferred_username", &user["username"]),
        ("picture", &picture),
        ("email", &user["email"]),
        ("email_verified", &user["verified"]),
        ("locale", &user["locale"]),
    ];
    claims(&user["id"], &pairs)
}

pub(super) fn facebook(user: &Value) -> Option<Claims> {
    let pairs = [
        ("name", &user["name"]),
        ("nickname", &user["name"]),
        ("given_name", &user["first_name"]),
        ("middle_name", &user["middle_name"]),
        ("family_name", &user["last_name"]),
        ("last_name", &user["last_name"]),
        ("picture", &user["picture"]["data"]["url"]),
        ("email", &user["email"]),
        ("gender", &user["gender"]),
        ("birthdate", &user["birthday"]),
    ];
    claims(&user["id"], &pairs)
}

pub(super) fn spotify(user: &Value) -> Option<Claims> {
    let pairs = [
        ("name", &user["display_name"]),
        ("nickname", &user["display_name"]),
        ("picture", &user["images"][0]["url"]),
        ("profile", &user["external_urls"]["spotify"]),
        // Spotify says of this address that it is not verified.
        ("email", &user["email"]),
    ];
    claims(&user["id"], &pairs)
}

pub(super) fn yandex(user: &Value) -> Option<Claims> {
    let picture = match (user["is_avatar_empty"].as_bool(), user["default_avatar_id"].as_str()) {
        (Some(false), Some(id)) => json!(format!("https://avatars.yandex.net/get-yapic/{id}/islands-200")),
        _ => Value::Null,
    };
    let pairs = [
        ("name", &user["real_name"]),
        ("given_name", &user["first_name"]),
        ("family_name", &user["last_name"]),
        ("last_name", &user["last_name"]),
        ("nickname", &user["login"]),
        ("preferred_username", &user["login"]),
        ("picture", &picture),
        ("email", &user["default_email"]),
        ("gender", &user["sex"]),
        ("birthdate", &user["birthday"]),
    ];
    claims(&user["id"], &pairs)
}

pub(super) fn patreon(answer: &Value) -> Option<Claims> {
    let user = &answer["data"]["attributes"];
    let pairs = [
        ("name", &user["full_name"]),
        ("given_name", &user["first_name"]),
        ("family_name", &user["last_name"]),
        ("last_name", &user["last_name"]),
        ("picture", &user["image_url"]),
        ("profile", &user["url"]),
        ("email", &user["email"]),
        ("email_verified", &user["is_email_verified"]),
    ];
    claims(&answer["data"]["id"], &pairs)
}

pub(super) fn amazon(user: &Value) -> Option<Claims> {
    claims(&user["user_id"], &[("name", &user["name"]), ("email", &user["email"])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_is_read_by_its_own_names() {
        type Read = fn(&Value) -> Option<Claims>;
        let table: &[(Read, Value, Value)] = &[
            (
                github,
                json!({ "id": 583_231, "login": "octo", "name": null, "blog": "", "avatar_url": "https://a/1", "email": "o@example.org" }),
                json!({ "sub": "583231", "nickname": "octo", "preferred_username": "octo", "picture": "https://a/1", "email": "o@example.org" }),
            ),
            (
                discord,
                json!({ "id": "80", "username": "nelly", "global_name": "Nelly", "avatar": "ab", "verified": true, "email": "n@example.org" }),
                json!({ "sub": "80", "name": "Nelly", "nickname": "nelly", "preferred_username": "nelly",
                    "picture": "https://cdn.discordapp.com/avatars/80/ab.png", "email": "n@example.org", "email_verified": true }),
            ),
            (
                facebook,
                json!({ "id": "1", "name": "Ada L", "first_name": "Ada", "picture": { "data": { "url": "https://p/" } } }),
                json!({ "sub": "1", "name": "Ada L", "nickname": "Ada L", "given_name": "Ada", "picture": "https://p/" }),
            ),
            (
                spotify,
                json!({ "id": "wiz", "display_name": "Wizzler", "images": [], "email": "w@example.org" }),
                json!({ "sub": "wiz", "name": "Wizzler", "nickname": "Wizzler", "email": "w@example.org" }),
            ),
            (
                yandex,
                json!({ "id": "1000034426", "login": "ivan", "default_email": "i@example.org", "is_avatar_empty": false, "default_avatar_id": "13" }),
                json!({ "sub": "1000034426", "nickname": "ivan", "preferred_username": "ivan",
                    "picture": "https://avatars.yandex.net/get-yapic/13/islands-200", "email": "i@example.org" }),
            ),
            (
                patreon,
                json!({ "data": { "id": "12", "attributes": { "full_name": "P", "email": "p@example.org", "is_email_verified": false } } }),
                json!({ "sub": "12", "name": "P", "email": "p@example.org", "email_verified": false }),
            ),
            (
                amazon,
                json!({ "user_id": "amzn1.account.K2", "name": "M", "email": "m@example.org", "postal_code": "98101" }),
                json!({ "sub": "amzn1.account.K2", "name": "M", "email": "m@example.org" }),
            ),
        ];
        for (read, told, expected) in table {
            assert_eq!(read(told).map(Value::Object).as_ref(), Some(expected), "{told}");
            for nobody in [json!({}), json!([]), json!("x"), json!({ "id": "", "user_id": -1, "data": { "id": null } })] {
                assert_eq!(read(&nobody), None, "{nobody}");
            }
        }
    }

    #[test]
    fn only_the_primary_address_counts() {
        let of = |list: Value| Value::Object(primary_email(&list));
        let one =
            |email: &str, primary: bool, verified: bool| json!({ "email": email, "primary": primary, "verified": verified });
        let list = json!([one("a@example.org", false, true), one("b@example.org", true, true)]);
        assert_eq!(of(list), json!({ "email": "b@example.org", "email_verified": true }));
        assert_eq!(of(json!([one("a@example.org", true, false)])), json!({ "email": "a@example.org", "email_verified": false }));
        for nothing in [json!([]), json!({}), json!([one("a@example.org", false, true)]), json!([{ "primary": true }])] {
            assert_eq!(of(nothing), json!({}));
        }
    }
}
