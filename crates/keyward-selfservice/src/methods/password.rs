//! Method `password`: setting one, changing it, and signing in and up with it (contract: settings 3.2, login 7.1, 10.1).
//! The stories call it; hashing and breach lookups run in services, outside any write.
//! Never echoes a password and never tells whether an account exists.

use keyward_config::Config;
use keyward_model::{
    Aal, AuthMethod, CredentialType, Flow, FormErrors, Group, IdentitySnapshot, InputType, Login, Message, Node, Operation,
    Problem, Secret,
};
use keyward_services::App;
use keyward_services::attempts::{self, Reserved};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::passwords::{self, Lane, PasswordError};
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_store::Batch;
use serde_json::{Value, json};

use super::{
    Applicant, Change, LONGEST_IDENTIFIER, LoginContext, LoginMethod, LoginProposal, Proposal, Proven, Refusal,
    RegistrationContext, RegistrationMethod, RegistrationProposal, SettingsContext, SettingsMethod, SettingsStep, Step,
    find_by_identifier, identifier_field,
};

/// The method.
pub struct Password;

impl SettingsMethod for Password {
    fn id(&self) -> &'static str {
        "password"
    }

    fn group(&self) -> Group {
        Group::Password
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.password.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "password")
    }

    fn nodes(&self, _context: &SettingsContext<'_>) -> Vec<Node> {
        vec![new_password_field(), Node::submit(Group::Password, "method", "password", Message::plain(1_070_003))]
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        let password = required_secret(body, "password")?;
        let first = context.identity.factors().password == 0;
        Ok(Box::new(NewPassword { password, first }))
    }
}

struct NewPassword {
    password: Secret<String>,
    first: bool,
}

impl SettingsStep for NewPassword {
    fn operation(&self) -> Operation {
        if self.first { Operation::SetFirstPassword } else { Operation::ChangePassword }
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let traits = &context.identity.identity.traits;
            let current =
                context.identity.credential(CredentialType::Password).and_then(|row| row.config["hashed_password"].as_str());
            let hash = accept(context.app, context.schema, traits, &self.password, current, Lane::SignedIn).await?;
            let kind = if self.first { EventKind::PasswordSet } else { EventKind::PasswordChanged };
            Ok(Change { events: vec![Event::done(kind)], ..Change::of(put(hash)) }.into())
        })
    }
}

impl LoginMethod for Password {
    fn id(&self) -> &'static str {
        "password"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.password.enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        flow.extra.requested_aal == Aal::Aal1 && body.method().is_some_and(|method| method == "password")
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let flow = context.flow;
        if !flow.extra.refresh {
            return None;
        }
        let credential =
            identity?.credential(CredentialType::Password).filter(|_| identity.is_some_and(|it| it.factors().password > 0));
        Some(json!({ "identifier": credential.and_then(|row| row.identifiers.first()) }))
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        if context.flow.extra.requested_aal != Aal::Aal1 {
            return Vec::new();
        }
        let field = Node::input(Group::Password, "password", InputType::Password)
            .required(true)
            .autocomplete("current-password")
            .label(Message::plain(1_070_001));
        let submit = |label| Node::submit(Group::Password, "method", "password", Message::plain(label));
        match context.flow.memory.0.get("password") {
            None => {
                let identifier = identifier_field(context.app, context.flow).value("".into());
                vec![identifier, field, submit(1_010_022)]
            }
            // A refresh asks for one's own password only; who has none is offered nothing here.
            Some(memory) if memory["identifier"].is_null() => Vec::new(),
            Some(memory) => {
                let identifier = Node::input(Group::Default, "identifier", InputType::Hidden).value(memory["identifier"].clone());
                vec![identifier, field, submit(1_010_001)]
            }
        }
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async move {
            let identifier = required_identifier(body);
            let password = required_secret(body, "password");
            let (identifier, password) = match (identifier, password) {
                (Ok(identifier), Ok(password)) => (identifier, password),
                (identifier, password) => {
                    let mut errors = identifier.err().unwrap_or_default();
                    errors.0.extend(password.err().unwrap_or_default().0);
                    return Err(errors.into());
                }
            };
            let app = context.app;
            let found = find_by_identifier(app, CredentialType::Password, &identifier).await?;
            let attempt = reserve(context, found.as_ref(), &identifier).await?;
            match judge(context, found.as_ref(), &password).await {
                Ok((identity, upkeep)) => {
                    let proof = AuthMethod::password(context.visit.now);
                    Ok(Proven { identity: identity.clone(), proof, upkeep, attempt }.into())
                }
                Err(Refusal::Problem(problem)) => {
                    attempt.give_back(app).await;
                    Err(problem.into())
                }
                Err(wrong) => Err(wrong),
            }
        })
    }

    fn echo(&self, body: &Payload) -> Vec<(String, Value)> {
        required_identifier(body).map(|identifier| vec![("identifier".to_owned(), json!(identifier))]).unwrap_or_default()
    }
}

impl RegistrationMethod for Password {
    fn id(&self) -> &'static str {
        "password"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.password.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "password")
    }

    fn nodes(&self, _context: &RegistrationContext<'_>) -> Vec<Node> {
        vec![new_password_field(), Node::submit(Group::Password, "method", "password", Message::plain(1_040_001))]
    }

    fn check(&self, body: &Payload) -> FormErrors {
        required_secret(body, "password").err().unwrap_or_default()
    }

    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>> {
        Box::pin(async move {
            let password = required_secret(body, "password")?;
            let hash = accept(context.app, context.schema, &traits, &password, None, Lane::Public).await?;
            let edit = IdentityEdit { traits: Some(traits), ..put(hash) };
            Ok(Applicant::new(edit, AuthMethod::password(context.visit.now)).into())
        })
    }
}

fn new_password_field() -> Node {
    Node::input(Group::Password, "password", InputType::Password)
        .required(true)
        .autocomplete("new-password")
        .label(Message::plain(1_070_001))
}

fn required_secret(body: &Payload, name: &str) -> Result<Secret<String>, FormErrors> {
    match body.string(name)? {
        Some(text) => Ok(Secret::new(text.to_owned())),
        None => Err(FormErrors::at(name, Message::missing(name))),
    }
}

fn required_identifier(body: &Payload) -> Result<String, FormErrors> {
    let text = match body.string("identifier")? {
        Some(text) => Some(text),
        // The older spelling is still sent by some clients.
        None => body.string("password_identifier")?,
    };
    let text = text.ok_or_else(|| FormErrors::at("identifier", Message::missing("identifier")))?;
    if text.len() > LONGEST_IDENTIFIER {
        let context = json!({ "max_length": LONGEST_IDENTIFIER, "actual_length": text.len() });
        return Err(FormErrors::at("identifier", Message::new(4_000_017, context)));
    }
    Ok(text.to_owned())
}

/// Counts the attempt, for an account that exists and for one that does not alike.
async fn reserve(context: &LoginContext<'_>, found: Option<&IdentitySnapshot>, identifier: &str) -> Result<Reserved, Problem> {
    let (app, visit) = (context.app, context.visit);
    let candidates = keyward_services::phone::login_candidates(identifier);
    let (subject, lane) = match found {
        Some(identity) => (attempts::Subject::Identity(identity.identity.id), visit.lane(identity.identity.id)),
        None => (attempts::Subject::Unknown(candidates.first().map_or(identifier, String::as_str)), attempts::Lane::Public),
    };
    attempts::reserve(app, subject, "password", &lane, &visit.client, visit.now).await
}

/// Compares the password with the stored hash, or with nothing in the same time. Gives the upkeep of a right one.
async fn judge<'a>(
    context: &LoginContext<'_>,
    found: Option<&'a IdentitySnapshot>,
    password: &Secret<String>,
) -> Result<(&'a IdentitySnapshot, Batch), Refusal> {
    let (app, now) = (context.app, context.visit.now);
    let lane = if context.visit.session.is_some() { Lane::SignedIn } else { Lane::Public };
    let stored = found.and_then(|identity| {
        let row = identity.credential(CredentialType::Password)?;
        Some((identity, row, row.config["hashed_password"].as_str().filter(|hash| !hash.is_empty())?))
    });
    let Some((identity, row, hash)) = stored else {
        passwords::spend_dummy(app, password, lane).await.map_err(refusal)?;
        return Err(wrong_credentials());
    };
    let verdict = passwords::verify(app, password, hash, lane).await.map_err(refusal)?;
    if !verdict.matches {
        return Err(wrong_credentials());
    }
    let mut upkeep = Batch::new();
    if verdict.needs_rehash
        && let Ok(renewed) = passwords::hash(app, password, lane).await
    {
        let mut config = row.config.clone();
        config["hashed_password"] = json!(renewed.reveal());
        upkeep.touch_credential_config(row, &config, now);
        let event = Event::done(EventKind::PasswordRehashed).identity(identity.identity.id).method("password");
        event.write(app, &context.visit.client, now, &mut upkeep);
    }
    Ok((identity, upkeep))
}

/// Applies the policy and hashes.
async fn accept(
    app: &App,
    schema: &IdentitySchema,
    traits: &Value,
    password: &Secret<String>,
    current: Option<&str>,
    lane: Lane,
) -> Result<Secret<String>, Refusal> {
    let identifiers = schema.password_identifiers(traits);
    if identifiers.is_empty() {
        return Err(FormErrors::global(Message::plain(4_000_009)).into());
    }
    passwords::check_policy(app, password, &identifiers).await.map_err(refusal)?;
    if let Some(current) = current
        && passwords::verify(app, password, current, lane).await.map_err(refusal)?.matches
    {
        return Err(FormErrors::at("password", Message::plain(4_000_039)).into());
    }
    passwords::hash(app, password, lane).await.map_err(refusal)
}

fn put(hash: Secret<String>) -> IdentityEdit {
    let config = json!({ "hashed_password": hash.reveal() });
    IdentityEdit {
        credentials: vec![CredentialEdit::Put { kind: CredentialType::Password, config, identifiers: None }],
        ..IdentityEdit::default()
    }
}

fn wrong_credentials() -> Refusal {
    FormErrors::global(Message::plain(4_000_006)).into()
}

fn refusal(error: PasswordError) -> Refusal {
    match error {
        PasswordError::Refused(message) => FormErrors::at("password", message).into(),
        PasswordError::Problem(problem) => problem.into(),
    }
}
