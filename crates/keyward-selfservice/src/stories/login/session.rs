//! What a sign-in comes to: a session that begins or is raised, in one commit with the flow, the grant and the audit log.
//! The login story comes here once somebody is proved; registration and recovery take sessions from here.
//! Proves nobody.

use keyward_config::Hook;
use keyward_model::{
    Aal, Device, EntryState, Flow, FlowType, FormErrors, JsonList, Login, Message, Owner, Problem, Session, flow_admits,
    session_aal, wire_json,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::session::{self, session_json};
use keyward_services::tokens::SessionToken;
use keyward_services::{App, flow_rows, mailboxes, storage_problem};
use keyward_store::{Batch, GrantRow, Refusal as Guarded, StoreError};
use serde_json::{Map, Value};

use super::{find, hooks, second_factor_url};
use crate::gate;
use crate::methods::{LoginMethod, Proven, Refusal};
use crate::outcome::{IssuedSession, SignedIn};
use crate::stories::linking::{self, PendingLink};
use crate::stories::verification_after::{self, Cause, Which};
use crate::stories::{FORM_ATTEMPTS, redirect, session_issued};
use crate::visit::Visit;

/// How somebody signs in.
pub(super) struct Way<'a> {
    pub(super) method: &'a dyn LoginMethod,
    /// Where a browser goes afterwards.
    pub(super) location: String,
    /// What the client sent along for templates.
    pub(super) transient: Option<&'a Map<String, Value>>,
}

/// Makes a session, or raises the one that is there, in one commit with the flow, the grant and the audit log.
/// `None` when another request was faster in using something up, or in changing the session or the account.
pub(super) async fn sign_in(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Login>,
    way: Way<'_>,
    proven: Proven,
) -> Result<Option<SignedIn>, Refusal> {
    let now = visit.now;
    let Way { method, location, transient } = way;
    let Proven { identity, proof, upkeep, attempt } = proven;
    let identity_id = identity.identity.id;
    // What is used up comes first: whoever is late there is told about the code, not about the session.
    let mut batch = upkeep;
    let current = visit.session.as_ref().filter(|active| active.session.identity_id == identity_id);
    // A second factor is proven inside a session and never starts one.
    if current.is_none() && proof.aal == Aal::Aal2 && flow.extra.requested_aal == Aal::Aal2 {
        return Err(Problem::Aal1Required.into());
    }
    let pending = PendingLink::of(flow);
    if pending.as_ref().is_some_and(|pending| !pending.is_for(&identity)) {
        return Err(FormErrors::global(Message::plain(4_010_009)).into());
    }
    let mut proofs = current.map(|active| active.session.methods.items()).unwrap_or_default();
    let known = proofs.len();
    proofs.push(proof);
    // Connecting an account is a change of it: it waits for everything that the account can ask for (AC-18).
    let is_whole = session_aal(&proofs) >= mailboxes::available(app, &identity, &proofs);
    let pending = pending.filter(|pending| pending.is_open(app, &identity));
    let link = pending.as_ref().filter(|_| is_whole);
    if let Some(link) = link {
        proofs.push(link.proof(app));
    }
    let (session, token) = match current {
        Some(active) => {
            let mut session = active.session.clone();
            proofs.split_off(known).into_iter().for_each(|proof| session.methods.push(proof));
            session.aal = session_aal(&session.methods.items());
            session.authenticated_at = now;
            session.expires_at = now + app.config.session.lifespan;
            batch.raise_session(&session, now);
            let event = Event::done(EventKind::RefreshSucceeded).session(session.id);
            event.identity(identity_id).flow(flow.id).method(method.id()).write(app, &visit.client, now, &mut batch);
            (session, None)
        }
        None => {
            let token = SessionToken::generate(app.random());
            let session = new_session(app, visit, identity_id, &proofs);
            if hooks(app, method).contains(&Hook::RevokeActiveSessions) {
                batch.revoke_other_sessions(identity_id, session.id, now);
                Event::done(EventKind::SessionsRevoked).identity(identity_id).write(app, &visit.client, now, &mut batch);
            }
            session::insert(app, &session, &token, now, &mut batch);
            let event = Event::done(EventKind::LoginSucceeded).identity(identity_id).session(session.id);
            event.flow(flow.id).method(method.id()).write(app, &visit.client, now, &mut batch);
            session_issued(&session).write(app, &visit.client, now, &mut batch);
            (session, Some(token))
        }
    };
    if let Some(settings_flow_id) = flow.extra.serves {
        batch.insert_grant(&GrantRow {
            id: app.random().id(),
            settings_flow_id,
            identity_id,
            session_id: session.id,
            expires_at: now + gate::GRANT,
            used_at: None,
        });
    }
    let cause = Cause {
        flow_type: flow.flow_type,
        request_url: &flow.request_url,
        session: Some(session.id),
        transient_payload: transient,
    };
    // Where a second step is due, the first one has sent it (contract: login 8.3).
    let verifies = hooks(app, method).contains(&Hook::Verification) && flow.extra.requested_aal == Aal::Aal1;
    let begun = match verifies {
        true => verification_after::begin(app, visit, &cause, &identity, Which::Unverified).await?,
        false => Vec::new(),
    };
    let written = verification_after::write_for(app, &begun, identity, now, &mut batch);
    let written = written.and_then(|identity| match link {
        Some(link) => link.attach(app, identity, now, &mut batch),
        None => Ok(identity),
    });
    let identity = match written {
        Ok(identity) => identity,
        Err(refusal) => {
            verification_after::give_back(app, begun).await;
            return Err(refusal);
        }
    };
    attempt.release(&mut batch);
    if let Some(pending) = &pending {
        if link.is_some() {
            PendingLink::forget(flow);
            let event = Event::done(EventKind::ProviderLinked).identity(identity_id).session(session.id).flow(flow.id);
            event.detail("provider", pending.provider()).write(app, &visit.client, now, &mut batch);
        } else {
            // The flow of the second step finds it by the session.
            flow.owner = Owner { identity_id: Some(identity_id), session_id: Some(session.id) };
        }
    }
    flow.state = EntryState::PassedChallenge;
    flow.form.clear();
    flow.extra.active = Some(method.id().to_owned());
    flow.extra.updated_at = now;
    let mut continue_with = redirect(flow.flow_type, &location);
    continue_with.extend(verification_after::published(app, &begun, hooks(app, method)));
    let page = begun.first().map(|begun| begun.page(app)).filter(|_| hooks(app, method).contains(&Hook::ShowVerificationUi));
    let outcome = finish(app, flow, batch).await;
    if outcome.is_err() {
        verification_after::give_back(app, begun).await;
    }
    match outcome {
        Ok(()) => attempt.refund(app),
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            // Two right submits of one flow: the other one signed in. Else the account was changed at the same moment.
            let stored = find(app, flow.id).await?;
            return match stored.state {
                EntryState::PassedChallenge => Err(FormErrors::global(Message::plain(4_010_002)).into()),
                _ => Ok(None),
            };
        }
        Err(StoreError::Refused(Guarded::AlreadyUsed)) => return Ok(None),
        // Somebody else connected the account, or took an address, at the same moment.
        Err(StoreError::Unique(_)) => return Err(FormErrors::global(Message::plain(4_000_007)).into()),
        // The session ended while the password was being checked, or another request raised it.
        Err(StoreError::Refused(Guarded::Gone)) if current.is_some() => return Ok(None),
        Err(StoreError::Refused(Guarded::Gone)) => return Err(Problem::SessionInactive.into()),
        Err(error) => return Err(storage_problem(error).into()),
    }

    let available = mailboxes::available(app, &identity, &session.methods.items());
    // Whoami would refuse such a session, so the second factor has to follow.
    let weak = !flow_admits(session.aal, available, app.config.session.whoami_required_aal);
    let second_factor = match pending {
        Some(_) if !is_whole => Some(linking::second_step_url(app, flow)),
        _ => weak.then(|| second_factor_url(app, flow)),
    };
    let whole = session.aal >= Aal::Aal2 || available < Aal::Aal2;
    let hide_identity = weak && flow.flow_type == FlowType::Api;
    let stored = wire_json(&identity.identity);
    Ok(Some(SignedIn {
        flow_type: flow.flow_type,
        remembered: whole.then_some(identity_id),
        session: IssuedSession {
            token: token.map(|token| token.reveal().clone().into()),
            expires_at: session.expires_at,
            json: session_json(&session, true, (!hide_identity).then_some(stored.as_str()), app.public_base()),
            rotate_csrf: current.is_none(),
        },
        continue_with,
        location: page.unwrap_or(location),
        second_factor,
    }))
}

/// Commits a sign-in together with its flow. A wrong submit of the same flow may have written its message in the meantime: the
/// right one wins over it, but not over another right one. Where the account changed since it was read, it says that what was
/// shown is used up, so that it is judged anew.
pub(super) async fn finish(app: &App, flow: &mut Flow<Login>, batch: Batch) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for _ in 0..FORM_ATTEMPTS {
        let mut whole = batch.clone();
        let read = flow.version;
        flow_rows::update(app, flow, &mut whole);
        outcome = app.store.commit(whole).await;
        if !matches!(outcome, Err(StoreError::Refused(Guarded::VersionConflict))) {
            return outcome;
        }
        match flow_rows::find::<Login>(app, flow.id).await? {
            Some(stored) if stored.state != EntryState::PassedChallenge && stored.version == read => {
                return Err(StoreError::Refused(Guarded::AlreadyUsed));
            }
            Some(stored) if stored.state != EntryState::PassedChallenge => flow.version = stored.version,
            _ => return outcome,
        }
    }
    outcome
}

/// A session that begins now with one proof.
pub(in crate::stories) fn new_session(
    app: &App,
    visit: &Visit,
    identity_id: keyward_model::IdentityId,
    methods: &[keyward_model::AuthMethod],
) -> Session {
    Session {
        id: app.random().id(),
        identity_id,
        active: true,
        aal: session_aal(methods),
        methods: JsonList::of(methods),
        authenticated_at: visit.now,
        issued_at: visit.now,
        expires_at: visit.now + app.config.session.lifespan,
        devices: JsonList::of(&[Device {
            id: app.random().id(),
            ip_address: visit.client.address.clone(),
            user_agent: visit.client.user_agent.clone(),
            location: Some(visit.client.location.clone()),
        }]),
        version: 1,
    }
}
