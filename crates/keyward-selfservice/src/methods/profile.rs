//! Method `profile`: a person's traits, as their identity schema describes them (contract: settings 3.1).
//! The settings story calls it for every submit with `method=profile`.
//! Does not decide which traits are protected: the one writer compares identifiers and addresses.

use keyward_config::Config;
use keyward_model::{FormErrors, Group, Message, Node, Operation};
use keyward_services::derive::{Bounds, IdentityEdit, derive};
use keyward_services::payload::Payload;
use serde_json::Value;

use super::{Change, Proposal, Refusal, SettingsContext, SettingsMethod, SettingsStep, Step};

/// The method.
pub struct Profile;

impl SettingsMethod for Profile {
    fn id(&self) -> &'static str {
        "profile"
    }

    fn group(&self) -> Group {
        Group::Profile
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.profile_enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == self.id())
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        let traits = context.flow.form.echoed(super::TRAITS).unwrap_or(&context.identity.identity.traits);
        let mut nodes = context.schema.trait_nodes(Group::Profile, traits);
        nodes.push(Node::submit(Group::Profile, "method", "profile", Message::plain(1_070_003)));
        nodes
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        let traits = context.schema.decode_traits(body);
        let bounds = Bounds::from(&context.app.config.limits);
        let edit = IdentityEdit { traits: Some(traits), bounds, ..IdentityEdit::default() };
        // Deriving validates; it happens before the CSRF check, as the contract wants for this method.
        let derived = derive(context.schema, Some(context.identity), &edit, context.visit.now, context.app.random())?;
        let operation = if derived.touches_protected() { Operation::EditProtectedTraits } else { Operation::EditFreeTraits };
        Ok(Box::new(Edit { edit, operation }))
    }

    fn echo(&self, context: &SettingsContext<'_>, body: &Payload) -> Vec<(String, Value)> {
        // What was emptied or left out is shown empty, not as it is stored.
        super::echo_traits(context.schema, body).into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
    }
}

struct Edit {
    edit: IdentityEdit,
    operation: Operation,
}

impl SettingsStep for Edit {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn propose<'a>(&'a self, _context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async { Ok(Change::of(self.edit.clone()).into()) })
    }
}
