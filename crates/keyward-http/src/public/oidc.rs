//! The way back from a provider: `/self-service/methods/oidc/…callback…`.
//! The handler reads what the provider sent and tells [`keyward_selfservice::stories::provider`].
//! Which flow it is about is known only once its `state` is open.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_selfservice::outcome::Returned;
use keyward_selfservice::stories::provider::{self, Answer};
use url::form_urlencoded;

use super::{Called, visit};
use crate::answer::{Kind, Step, once_more};
use crate::body;
use crate::openapi::Shape::{Named, Text};
use crate::openapi::{Answer as Documented, CODE, Operation, Parameter, in_path, in_query, leads, refuses, shows};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/methods/oidc/callback", get(returned).post(posted))
        .route("/self-service/methods/oidc/callback/{provider}", get(returned).post(posted))
        .route("/self-service/methods/oidc/organization/{organization}/callback/{provider}", get(returned).post(posted))
}

const PROVIDER: Parameter = in_path("provider", Text, "The provider.");
const PROVIDERS_ORGANIZATION: Parameter = in_path("organization", Text, "The organisation that the provider belongs to.");
const STATE: Parameter = in_query("state", Text, "What the provider was asked with.");
const ERROR: Parameter = in_query("error", Text, "Why the provider sends nobody back.");

/// The same, for programs: browsers that come back from a provider call them, and providers that answer with a form.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/methods/oidc/callback",
        "returnFromProvider",
        "A browser comes back from a provider; the state says from which.",
    )
    .takes(&[STATE, CODE, ERROR])
    .answers(RETURNED),
    Operation::frontend("POST", "/self-service/methods/oidc/callback", "receiveProviderForm", "A provider answers with a form.")
        .answers(POSTED),
    Operation::frontend(
        "GET",
        "/self-service/methods/oidc/callback/{provider}",
        "returnFromOneProvider",
        "A browser comes back from a provider.",
    )
    .takes(&[PROVIDER, STATE, CODE, ERROR])
    .answers(RETURNED),
    Operation::frontend(
        "POST",
        "/self-service/methods/oidc/callback/{provider}",
        "receiveOneProvidersForm",
        "A provider answers with a form.",
    )
    .takes(&[PROVIDER])
    .answers(POSTED),
    Operation::frontend(
        "GET",
        "/self-service/methods/oidc/organization/{organization}/callback/{provider}",
        "returnFromOrganizationsProvider",
        "A browser comes back from the provider of an organisation.",
    )
    .takes(&[PROVIDERS_ORGANIZATION, PROVIDER, STATE, CODE, ERROR])
    .answers(RETURNED),
    Operation::frontend(
        "POST",
        "/self-service/methods/oidc/organization/{organization}/callback/{provider}",
        "receiveOrganizationsProvidersForm",
        "The provider of an organisation answers with a form.",
    )
    .takes(&[PROVIDERS_ORGANIZATION, PROVIDER])
    .answers(POSTED),
];

/// What becomes of a round trip.
const RETURNED: &[Documented] = &[
    shows(200, "A script that follows gets what it would get from the submit.", Named("successfulNativeLogin")),
    leads(302),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("loginFlowOrError")),
    refuses(401),
    refuses(403),
    refuses(404),
    refuses(410),
    shows(422, "The second factor comes next.", Named("errorBrowserLocationChangeRequired")),
];

/// What becomes of a form: it is asked for once more as a link.
const POSTED: &[Documented] = &[leads(302), refuses(400), refuses(413)];

async fn returned(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let (query, uri) = (call.caller.query.clone(), call.caller.uri.clone());
    let answer = Answer {
        path: uri.path(),
        state: query.get("state"),
        // One provider calls it otherwise.
        code: query.get("code").or_else(|| query.get("authCode")),
        issuer: query.get("iss"),
        error: query.get("error"),
        error_description: query.get("error_description"),
        user: query.get("user"),
    };
    match provider::callback(call.caller.app(), &mut call.visit, &answer).await {
        Ok(Returned::Settings(said)) => Ok(call.answer(Kind::Settings, Step::Submit, said).await),
        Ok(Returned::Login(said)) => Ok(call.answer_entry(Kind::Login, said).await),
        Ok(Returned::Registration(said)) => Ok(call.answer_entry(Kind::Registration, said).await),
        Err(problem) => Ok(call.refuse(problem).await),
    }
}

/// What a provider's answer consists of.
const ANSWER: [&str; 7] = ["state", "code", "authCode", "iss", "error", "error_description", "user"];

/// A provider that answers with a form: the browser sends no cookies along with it, so it comes once more as a link (contract:
/// settings 1.1).
async fn posted(Extension(caller): Called, request_body: Body) -> Result<Response, Response> {
    let bytes = match body::read_up_to(&caller, request_body, caller.app().config.limits.url_bytes).await {
        Ok(bytes) => bytes,
        Err(problem) => return Err(caller.refuse(problem).await),
    };
    let answer = form_urlencoded::parse(&bytes).filter(|(name, _)| ANSWER.contains(&name.as_ref()));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    let location = format!("{}{}?{query}", caller.app().public_base(), caller.uri.path());
    Ok(once_more(location).send(&caller).await)
}
