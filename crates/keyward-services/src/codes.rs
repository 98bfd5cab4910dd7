//! One-time codes sent by mail or text message: made, told apart, counted and used up.
//! The methods and stories that send codes call it; each code belongs to one purpose and one flow, and counts nowhere else.
//! Knows neither mails nor forms, and stores keyed hashes only (decisions 5.4).

use keyward_model::{FlowId, IdentityId, Problem, Secret, Span, Time, Via};
use keyward_store::{Batch, CodeRow};
use subtle::ConstantTimeEq as _;

use crate::attempts::{self, Lane, Reserved, Subject};
use crate::audit::Client;
use crate::keys::KeyUse;
use crate::typed_codes::bare;
use crate::{App, storage_problem};

/// Digits of a code (contract: recovery 2.6).
pub const DIGITS: usize = 6;

/// What a code may be used for. Part of its hash, so that a code sent for one thing never does another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Getting back into an account.
    Recovery,
    /// Confirming an address.
    Verification,
    /// Signing in, or stepping up.
    Login,
    /// Signing up.
    Registration,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Verification => "verification",
            Self::Login => "login",
            Self::Registration => "registration",
        }
    }
}

/// A code to be made.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// What for.
    pub purpose: Purpose,
    /// The flow that it will be typed into.
    pub flow: FlowId,
    /// The account, once there is one.
    pub identity: Option<IdentityId>,
    /// Where it is sent; `None` where an operator hands it over.
    pub address: Option<(Via, &'a str)>,
    /// When it ends.
    pub expires_at: Time,
}

/// Makes a code and adds it to `batch`. Earlier codes of the flow stay: see [`forget`].
pub fn issue(app: &App, order: &Order<'_>, now: Time, batch: &mut Batch) -> Secret<String> {
    let code = Secret::new(app.random().letters(b"0123456789", DIGITS));
    batch.insert_code(&CodeRow {
        id: app.random().id(),
        purpose: order.purpose.word().to_owned(),
        flow_id: order.flow,
        identity_id: order.identity,
        address: order.address.map(|(via, address)| (via, address.to_owned())),
        code_hash: hash(app, order.purpose, order.flow, code.reveal())[0].to_vec(),
        issued_at: now,
        expires_at: order.expires_at,
        used_at: None,
    });
    code
}

/// Deletes the codes that were sent for a flow: new ones take their place, or the flow goes another way.
pub fn forget(purpose: Purpose, flow: FlowId, batch: &mut Batch) {
    batch.forget_codes(flow, purpose.word());
}

/// What a typed code turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is the one; to be used up with [`use_up`] in the commit of what it proves.
    Right(CodeRow),
    /// It was used before.
    Used,
    /// It is none of this flow's, or has expired.
    Wrong,
}

/// Compares a typed code with those of a flow. Spaces and hyphens do not count. Takes the same time for every code of as many
/// characters, right or wrong.
///
/// # Errors
/// When the database does not answer.
pub async fn judge(app: &App, purpose: Purpose, flow: FlowId, typed: &str, now: Time) -> Result<Judged, Problem> {
    let rows = app.store.list_codes(flow, purpose.word()).await.map_err(storage_problem)?;
    let typed = bare(typed);
    if typed.len() != DIGITS {
        return Ok(Judged::Wrong);
    }
    let hashes = hash(app, purpose, flow, &typed);
    let mut found = None;
    for row in rows {
        let same = hashes.iter().fold(subtle::Choice::from(0), |same, hash| same | hash.ct_eq(&row.code_hash));
        if bool::from(same) && found.is_none() {
            found = Some(row);
        }
    }
    Ok(match found {
        None => Judged::Wrong,
        Some(row) if row.used_at.is_some() => Judged::Used,
        Some(row) if row.expires_at <= now => Judged::Wrong,
        Some(row) => Judged::Right(row),
    })
}

/// The latest code that was sent for a flow: it tells the account, if there is one, and the canonical address.
///
/// # Errors
/// When the database does not answer.
pub async fn sent(app: &App, purpose: Purpose, flow: FlowId) -> Result<Option<CodeRow>, Problem> {
    Ok(app.store.list_codes(flow, purpose.word()).await.map_err(storage_problem)?.into_iter().next())
}

/// A code that somebody typed, and what it is counted against.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What the code should be for.
    pub purpose: Purpose,
    /// The flow that it was typed into.
    pub flow: FlowId,
    /// What was typed.
    pub typed: &'a str,
    /// Whom wrong codes count against.
    pub subject: Subject<'a>,
    /// The counter among those of `subject`.
    pub counter: &'static str,
    /// Whose share of the attempts it is taken from.
    pub lane: &'a Lane,
    /// Where it came from.
    pub client: &'a Client,
}

/// What came of an attempt. Whatever is no right code stays counted, but for [`Tried::Over`], which compares nothing.
#[derive(Debug)]
pub enum Tried {
    /// It is the one. The attempt is refunded, released or given back by whoever uses the code up.
    Right(CodeRow, Box<Reserved>),
    /// It was used before.
    Used,
    /// It is none of this flow's, or has expired.
    Wrong,
    /// Too many codes were tried on the flow.
    Over,
}

/// Counts a code against whoever it is about and against its flow, and only then compares it.
///
/// # Errors
/// [`Problem::TooManyAttempts`], and when the database does not answer; then nothing is counted against anybody.
pub async fn attempt(app: &App, attempt: &Attempt<'_>, now: Time) -> Result<Tried, Problem> {
    let Attempt { purpose, flow, typed, subject, counter, lane, client } = *attempt;
    let reserved = attempts::reserve(app, subject, counter, lane, client, now).await?;
    let judged = match count_submission(app, flow).await {
        Ok(true) => judge(app, purpose, flow, typed, now).await.map(Some),
        Ok(false) => Ok(None),
        Err(problem) => Err(problem),
    };
    match judged {
        Ok(Some(Judged::Right(row))) => Ok(Tried::Right(row, Box::new(reserved))),
        Ok(Some(Judged::Used)) => Ok(Tried::Used),
        Ok(Some(Judged::Wrong)) => Ok(Tried::Wrong),
        // Nothing is compared any more, so nothing is guessed.
        Ok(None) => {
            reserved.give_back(app).await;
            Ok(Tried::Over)
        }
        Err(problem) => {
            reserved.give_back(app).await;
            Err(problem)
        }
    }
}

/// Lets a right code count on another flow of the same purpose as well: somebody opened its link in another browser.
pub fn carry_over(app: &App, code: &CodeRow, purpose: Purpose, to: FlowId, typed: &str, now: Time, batch: &mut Batch) {
    let code_hash = hash(app, purpose, to, &bare(typed))[0].to_vec();
    batch.insert_code(&CodeRow { id: app.random().id(), flow_id: to, code_hash, issued_at: now, used_at: None, ..code.clone() });
}

/// Uses a code up, in the commit of what it proves: of many requests at once one goes through, the others are refused with
/// [`keyward_store::Refusal::AlreadyUsed`].
///
/// Whoever has read the code is not kept from further messages.
pub fn use_up(app: &App, code: &CodeRow, now: Time, batch: &mut Batch) {
    batch.consume_code(code.id, now);
    if let Some((_, address)) = &code.address {
        attempts::forget_messages(app, address, batch);
    }
}

/// Counts a code that is tried on a flow, before it is compared (contract: recovery 2.6). `false`: too many were tried, and the
/// flow is over.
///
/// # Errors
/// When the database does not answer.
pub async fn count_submission(app: &App, flow: FlowId) -> Result<bool, Problem> {
    let most = app.config.selfservice.methods.code.max_submissions;
    app.store.count_code_submission(flow, most).await.map_err(storage_problem)
}

/// Counts a message to an address before it is sent, whether an account has the address or not: nobody fills the mailbox of
/// somebody else, and nobody learns from the limit who has an account. A browser that signed in as the account before has a
/// lane of its own, so that outsiders cannot use up its owner's messages.
///
/// # Errors
/// [`Problem::TooManyAttempts`] when the address got too many, or the client's network asked for too many; otherwise when the
/// database does not answer.
pub async fn admit_message(app: &App, address: &str, lane: &Lane, client: &Client, now: Time) -> Result<Reserved, Problem> {
    attempts::reserve(app, Subject::Unknown(address), attempts::MESSAGE, lane, client, now).await
}

/// Counts a message that a person's own sign-up, sign-in or change causes, apart from those that anybody can ask for.
///
/// # Errors
/// As [`admit_message`].
pub async fn admit_notice(app: &App, address: &str, client: &Client, now: Time) -> Result<Reserved, Problem> {
    attempts::reserve(app, Subject::Unknown(address), attempts::NOTICE, &Lane::Public, client, now).await
}

/// How long a code of the configuration in force is valid.
pub fn lifespan(app: &App) -> Span {
    app.config.selfservice.methods.code.lifespan
}

/// The hashes of a code under every accepted key, the current one first.
fn hash(app: &App, purpose: Purpose, flow: FlowId, code: &str) -> Vec<[u8; 32]> {
    app.keys.sign_with_all(KeyUse::MailedCode, &[purpose.word().as_bytes(), b":", flow.0.as_bytes(), code.as_bytes()])
}
