//! What the init request of a login flow asks for (contract: login 6.1).
//! The story reads it once when a flow is made, and again when an expired one is replaced.
//! Knows addresses only: who is signed in, and whether they may, is the story's.

use keyward_model::{Aal, FlowId, Problem};
use keyward_services::App;
use url::Url;

/// What the init request asks for.
pub(super) struct Asked {
    pub(super) refresh: bool,
    pub(super) aal: Aal,
    pub(super) return_to: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) identity_schema: Option<String>,
    pub(super) serves: Option<FlowId>,
    /// An app lets a browser do its part and fetches the token afterwards.
    pub(super) exchange: bool,
    /// The first step of this sign-in, when a social account waits for the second one.
    pub(super) account_link: Option<FlowId>,
}

impl Asked {
    /// A sign-in that asks for nothing special.
    pub(super) const fn plain(identity_schema: Option<String>) -> Self {
        Self {
            refresh: false,
            aal: Aal::Aal1,
            return_to: None,
            organization: None,
            identity_schema,
            serves: None,
            exchange: false,
            account_link: None,
        }
    }

    pub(super) fn read(app: &App, request_url: &str) -> Result<Self, Problem> {
        let url =
            Url::parse(request_url).map_err(|_| Problem::BadRequest { reason: "The address cannot be read.".to_owned() })?;
        let raw = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let query = |name: &str| raw(name).filter(|value| !value.is_empty());
        let aal = match query("aal").map(|aal| aal.to_ascii_lowercase()).as_deref() {
            None | Some("aal1") => Aal::Aal1,
            Some("aal2") => Aal::Aal2,
            Some(_) => return Err(Problem::BadRequest { reason: "The parameter aal must be aal1 or aal2.".to_owned() }),
        };
        match raw("login_challenge").as_deref() {
            None => {}
            Some("") => return Err(Problem::BadRequest { reason: "The parameter login_challenge is empty.".to_owned() }),
            Some(_) => {
                tracing::error!("A login challenge arrived, but no OAuth2 provider is configured");
                return Err(Problem::Internal);
            }
        }
        let identity_schema = query("identity_schema");
        if aal == Aal::Aal1 && !identity_schema.as_deref().is_none_or(|id| crate::stories::is_selectable(app, id)) {
            return Err(Problem::BadRequest { reason: "The identity schema cannot be chosen here.".to_owned() });
        }
        let return_to = query("return_to");
        let serves = return_to.as_deref().and_then(|target| settings_flow(app, target));
        let is_on =
            |name: &str| query(name).is_some_and(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE"));
        let refresh = is_on("refresh");
        Ok(Self {
            refresh,
            aal,
            return_to,
            organization: query("organization").filter(|id| is_uuid(id)),
            identity_schema,
            serves,
            exchange: is_on("return_session_token_exchange_code"),
            account_link: query("account_link").as_deref().and_then(FlowId::parse),
        })
    }
}

fn is_uuid(text: &str) -> bool {
    FlowId::parse(text).is_some()
}

/// The settings flow that a re-login leads back to, if it does.
fn settings_flow(app: &App, target: &str) -> Option<FlowId> {
    let query = target.strip_prefix(app.public_base())?.strip_prefix("/self-service/settings?")?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "flow").and_then(|(_, id)| FlowId::parse(&id))
}
