//! The credential of type oidc: which subjects at which providers are an account (contract: settings 3.0.5).
//! Stories find, add and remove links and hand the edit to the writer of identities; the admin API shows them opened.
//! Tokens of providers stand in it sealed, each for its own link: moved to another one, it no longer opens.

use keyward_model::{Credential, CredentialType, Random};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Provider, Subject};
use crate::App;
use crate::derive::CredentialEdit;
use crate::keys::{KeyUse, Keyring};
use crate::seal::Place;
use keyward_model::Secret;

/// The tokens of a link, by the names under which they are stored.
const TOKENS: [&str; 3] = ["initial_id_token", "initial_access_token", "initial_refresh_token"];

/// What finds the account of a subject: unique over all accounts, compared exactly.
pub fn identifier(provider: &str, subject: &str) -> String {
    format!("{provider}:{subject}")
}

/// One subject at one provider.
#[derive(Clone, Serialize, Deserialize)]
pub struct Link {
    /// What the provider calls the person.
    pub subject: String,
    /// The id of the provider.
    pub provider: String,
    #[serde(default)]
    initial_id_token: String,
    #[serde(default)]
    initial_access_token: String,
    #[serde(default)]
    initial_refresh_token: String,
    /// The organization to which the link belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// What else an import or another version wrote.
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.provider)
    }
}

/// The links of an account.
#[derive(Debug, Clone, Default)]
pub struct Links {
    links: Vec<Link>,
    /// Entries that cannot be read; they stay as they are.
    unread: Vec<Value>,
}

impl Links {
    /// Reads the credential; none without one.
    pub fn of(credential: Option<&Credential>) -> Self {
        let mut read = Self::default();
        let providers = credential.and_then(|credential| credential.config["providers"].as_array());
        for entry in providers.into_iter().flatten() {
            match serde_json::from_value(entry.clone()) {
                Ok(link) => read.links.push(link),
                Err(_) => read.unread.push(entry.clone()),
            }
        }
        read
    }

    /// The link with a provider.
    pub fn find(&self, provider: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.provider == provider)
    }

    /// All links, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// Adds a link with the tokens of this round trip; for a subject that is linked already, the tokens are replaced.
    pub fn add(&mut self, app: &App, provider: &Provider, subject: &Subject, random: &dyn Random) {
        self.add_with(&app.keys, provider.id(), provider.settings.organization_id.as_ref(), subject, random);
    }

    fn add_with(
        &mut self,
        keys: &Keyring,
        provider: &str,
        organization: Option<&String>,
        subject: &Subject,
        random: &dyn Random,
    ) {
        let identifier = identifier(provider, &subject.subject);
        let seal = |name: &str, token: Option<&Secret<String>>| {
            let sealed = |token: &Secret<String>| {
                keys.seal_text(KeyUse::Credential, place(&identifier, name), token.reveal().as_bytes(), random)
            };
            token.map(sealed).unwrap_or_default()
        };
        let [id, access, refresh] = TOKENS;
        let tokens = &subject.tokens;
        let mut link = Link {
            subject: subject.subject.clone(),
            provider: provider.to_owned(),
            initial_id_token: seal(id, tokens.id.as_ref()),
            initial_access_token: seal(access, tokens.access.as_ref()),
            initial_refresh_token: seal(refresh, tokens.refresh.as_ref()),
            organization: organization.cloned(),
            other: Map::new(),
        };
        let same = |known: &&mut Link| known.provider == link.provider && known.subject == link.subject;
        if let Some(known) = self.links.iter_mut().find(same) {
            std::mem::swap(&mut link.other, &mut known.other);
            *known = link;
        } else {
            self.links.push(link);
        }
    }

    /// Removes every link with a provider and gives the first; its tokens are forgotten.
    pub fn remove(&mut self, provider: &str) -> Option<Link> {
        let removed = self.links.extract_if(.., |link| link.provider == provider).collect::<Vec<_>>();
        removed.into_iter().next()
    }

    /// The edit that stores the links. The row stays when the last one is gone (contract: settings 3.7.6).
    pub fn edit(&self) -> CredentialEdit {
        let identifiers = self.links.iter().map(|link| identifier(&link.provider, &link.subject)).collect();
        let mut providers: Vec<Value> = self.links.iter().map(|link| json!(link)).collect();
        providers.extend(self.unread.iter().cloned());
        CredentialEdit::Put {
            kind: CredentialType::Oidc,
            config: json!({ "providers": providers }),
            identifiers: Some(identifiers),
        }
    }
}

/// The identifier is known before an account has an id, and nobody else can have it.
const fn place<'a>(identifier: &'a str, token: &'a str) -> Place<'a> {
    Place::Column { table: "identity_credentials", row: identifier.as_bytes(), column: token }
}

/// The config of such a credential with its tokens opened, for operators who ask for it; a token that does not open is empty.
pub fn shown(keys: &Keyring, config: &Value) -> Value {
    let mut config = config.clone();
    for link in config.get_mut("providers").and_then(Value::as_array_mut).into_iter().flatten() {
        let identifier = identifier(link["provider"].as_str().unwrap_or_default(), link["subject"].as_str().unwrap_or_default());
        let Some(link) = link.as_object_mut() else { continue };
        for name in TOKENS {
            let sealed = link.get(name).and_then(Value::as_str).unwrap_or_default();
            let opened = keys.open_text(KeyUse::Credential, place(&identifier, name), sealed).ok();
            let token = opened.and_then(|plain| str::from_utf8(plain.reveal()).ok().map(str::to_owned)).unwrap_or_default();
            link.insert(name.to_owned(), token.into());
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::{Counting, ring};
    use crate::oidc::Tokens;

    fn subject(name: &str, access: &str) -> Subject {
        let tokens = Tokens { access: Some(Secret::new(access.to_owned())), ..Tokens::default() };
        Subject::of_profile(name.to_owned(), Map::new(), tokens)
    }

    fn stored(links: &Links) -> (Value, Vec<String>) {
        match links.edit() {
            CredentialEdit::Put { kind: CredentialType::Oidc, config, identifiers: Some(identifiers) } => (config, identifiers),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn links_come_and_go_and_their_tokens_are_sealed() {
        let (keys, random) = (ring(&["generation-one-secret"]), Counting::new());
        let mut links = Links::of(None);
        links.add_with(&keys, "hub", None, &subject("s:1", "CANARY-1"), &random);
        links.add_with(&keys, "lab", Some(&"org".to_owned()), &subject("s2", "CANARY-2"), &random);
        links.add_with(&keys, "hub", None, &subject("s:1", "CANARY-3"), &random);
        let (config, identifiers) = stored(&links);
        assert_eq!(identifiers, ["hub:s:1", "lab:s2"]);
        assert!(!config.to_string().contains("CANARY") && !format!("{links:?}").contains("CANARY"), "{config}");
        assert_eq!(config["providers"][0]["initial_id_token"], "");
        assert_eq!(config["providers"][1]["organization"], "org");
        let opened = shown(&keys, &config);
        assert_eq!(opened["providers"][0]["initial_access_token"], "CANARY-3");
        assert_eq!(opened["providers"][1]["initial_access_token"], "CANARY-2");
        assert_eq!(opened["providers"][1]["initial_refresh_token"], "");
        // A token that was moved to another link, or stands under a lost secret, is empty.
        let mut moved = config.clone();
        moved["providers"][1]["initial_access_token"] = config["providers"][0]["initial_access_token"].clone();
        assert_eq!(shown(&keys, &moved)["providers"][1]["initial_access_token"], "");
        assert_eq!(shown(&ring(&["generation-two-secret"]), &config)["providers"][0]["initial_access_token"], "");

        assert!(links.find("hub").is_some() && links.find("HUB").is_none());
        assert_eq!(links.remove("hub").map(|link| link.subject).as_deref(), Some("s:1"));
        assert!(links.remove("hub").is_none() && links.find("hub").is_none());
        links.remove("lab");
        assert_eq!(stored(&links), (json!({ "providers": [] }), Vec::new()));
    }

    #[test]
    fn what_others_wrote_is_kept() {
        let entry = json!({ "subject": "s", "provider": "hub", "use_auto_link": true, "later": 1 });
        let broken = json!({ "subject": "broken" });
        let credential = Credential {
            id: uuid::Uuid::nil().into(),
            kind: CredentialType::Oidc,
            identifiers: vec!["hub:s".to_owned()],
            config: json!({ "providers": [broken, entry] }),
            version: 0,
            created_at: keyward_model::Time::default(),
            updated_at: keyward_model::Time::default(),
        };
        let (config, identifiers) = stored(&Links::of(Some(&credential)));
        assert_eq!(identifiers, ["hub:s"]);
        assert_eq!((&config["providers"][0]["use_auto_link"], &config["providers"][0]["later"]), (&json!(true), &json!(1)));
        assert_eq!(config["providers"][1], broken);
        assert!(shown(&ring(&["generation-one-secret"]), &json!({ "providers": [1, null] })).is_object());
    }
}
