//! What mails and text messages say, in English and German.
//! [`super::render`] lays the sentences out as HTML, as plain text and for telephones.
//! Knows no markup: every value that it puts into a sentence is escaped where it is laid out.

use keyward_model::{Lang, Span, Time};

use super::Template;

/// The sentences of one message.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The subject of a mail.
    pub(super) subject: String,
    /// The first line of a mail.
    pub(super) heading: String,
    /// Above the code or link: who asked for what.
    pub(super) before: Vec<String>,
    /// What the link does.
    pub(super) link_text: &'static str,
    /// Below: how long it is valid, and what to do when it was somebody else.
    pub(super) after: Vec<String>,
    /// All of it in a text message, without the line that binds a code to its site.
    pub(super) sms: String,
}

/// What the sentences mention.
pub(super) struct Facts<'a> {
    pub(super) to: &'a str,
    /// `ui.brand.name`.
    pub(super) brand: &'a str,
    /// The public host of this server.
    pub(super) domain: &'a str,
    pub(super) expires_in: Option<Span>,
}

pub(super) fn words(template: &Template, lang: Lang, facts: &Facts<'_>) -> Words {
    let mut words = match lang {
        Lang::En => english(template, facts),
        Lang::De => german(template, facts),
    };
    let Some(span) = facts.expires_in else { return words };
    let code = template.code().is_some();
    if code || template.url().is_some() {
        let validity = validity(lang, code, span);
        words.sms = format!("{} {validity}", words.sms);
        words.after.insert(0, validity);
    }
    words
}

fn english(template: &Template, facts: &Facts<'_>) -> Words {
    let Facts { to, brand, domain, .. } = facts;
    let site = format!("{brand} ({domain})");
    let code = template.code().map(|code| code.reveal().as_str()).unwrap_or_default();
    let keep = format!(
        "If it was not you, do nothing: without this code nobody gets any further. Never pass it on, not even to people who say that they work for {brand}."
    );
    match template {
        Template::RecoveryCodeValid { .. } => Words {
            subject: format!("{code} is your code to recover your account"),
            heading: "Recover your account".into(),
            before: vec![format!(
                "Somebody asked to recover the account of {to} at {site}. If it was you, type this code where you asked for it:"
            )],
            after: vec![keep],
            sms: format!("{code} is your code to recover your account at {brand}. Never pass it on."),
            ..Words::default()
        },
        Template::RecoveryValid { .. } => Words {
            subject: "Recover your account".into(),
            heading: "Recover your account".into(),
            before: vec![format!("Somebody asked to recover the account of {to} at {site}. If it was you, open this link:")],
            link_text: "Recover my account",
            after: vec!["If it was not you, do nothing: only who reads this mail can use the link.".into()],
            sms: format!("Recover your account at {brand}:"),
        },
        Template::RecoveryCodeInvalid | Template::RecoveryInvalid => Words {
            subject: "No account to recover".into(),
            heading: "There is no account with this address".into(),
            before: vec![format!("Somebody asked to recover the account of {to} at {site}, but no account there has this address.")],
            after: vec![
                "If it was you, you may have signed up with another address. If it was not you, there is nothing to do.".into(),
            ],
            sms: format!("Somebody asked to recover an account at {brand}, but none has this number."),
            ..Words::default()
        },
        Template::VerificationCodeValid { .. } => Words {
            subject: format!("{code} is your code to confirm your address"),
            heading: "Confirm your address".into(),
            before: vec![format!("Somebody gave {to} as their address at {site}. If it was you, type this code where you were asked for it, or open the link below:")],
            link_text: "Confirm my address",
            after: vec!["If it was not you, do nothing: the address then stays unconfirmed.".into()],
            sms: format!("{code} is your code to confirm this number at {brand}. Never pass it on."),
        },
        Template::VerificationValid { .. } => Words {
            subject: "Confirm your address".into(),
            heading: "Confirm your address".into(),
            before: vec![format!("Somebody gave {to} as their address at {site}. If it was you, open this link:")],
            link_text: "Confirm my address",
            after: vec!["If it was not you, do nothing: the address then stays unconfirmed.".into()],
            sms: format!("Confirm this number at {brand}:"),
        },
        Template::VerificationCodeInvalid | Template::VerificationInvalid => Words {
            subject: "No account to confirm".into(),
            heading: "There is no account with this address".into(),
            before: vec![format!("Somebody asked to confirm {to} at {site}, but no account there has this address.")],
            after: vec![
                "If it was you, you may have signed up with another address. If it was not you, there is nothing to do.".into(),
            ],
            sms: format!("Somebody asked to confirm this number at {brand}, but no account has it."),
            ..Words::default()
        },
        Template::LoginCodeValid { .. } => Words {
            subject: format!("{code} is your code to sign in"),
            heading: "Sign in".into(),
            before: vec![format!("Somebody is signing in at {site} as {to}. If it is you, type this code where you are asked for it:")],
            after: vec![keep],
            sms: format!("{code} is your code to sign in at {brand}. Never pass it on."),
            ..Words::default()
        },
        Template::RegistrationCodeValid { .. } => Words {
            subject: format!("{code} is your code to sign up"),
            heading: "Sign up".into(),
            before: vec![format!("Somebody is signing up at {site} as {to}. If it is you, type this code where you are asked for it:")],
            after: vec![keep],
            sms: format!("{code} is your code to sign up at {brand}. Never pass it on."),
            ..Words::default()
        },
        Template::VerifiableAddressChanged { changed_at } => Words {
            subject: "An address of your account was changed".into(),
            heading: "An address of your account was changed".into(),
            before: vec![format!("On {} an address of your account at {site} was changed. This mail goes to {to}, which belonged to it before.", date(*changed_at))],
            after: vec!["If it was you, there is nothing to do. If it was not you, sign in, look at your addresses and change your password; if you cannot get in, tell the people who run the site.".into()],
            sms: format!("An address of your account at {brand} was changed. If it was not you, sign in and change your password."),
            ..Words::default()
        },
    }
}

fn german(template: &Template, facts: &Facts<'_>) -> Words {
    let Facts { to, brand, domain, .. } = facts;
    let site = format!("{brand} ({domain})");
    let code = template.code().map(|code| code.reveal().as_str()).unwrap_or_default();
    let keep = format!(
        "Wenn nicht, müssen Sie nichts tun: Ohne diesen Code kommt niemand weiter. Geben Sie ihn nie weiter, auch nicht an Leute, die angeblich für {brand} arbeiten."
    );
    match template {
        Template::RecoveryCodeValid { .. } => Words {
            subject: format!("{code} ist Ihr Code zum Wiederherstellen Ihres Kontos"),
            heading: "Konto wiederherstellen".into(),
            before: vec![format!("Jemand möchte das Konto von {to} bei {site} wiederherstellen. Wenn Sie es sind, geben Sie diesen Code dort ein, wo Sie ihn angefordert haben:")],
            after: vec![keep],
            sms: format!("{code} ist Ihr Code zum Wiederherstellen Ihres Kontos bei {brand}. Geben Sie ihn nie weiter."),
            ..Words::default()
        },
        Template::RecoveryValid { .. } => Words {
            subject: "Konto wiederherstellen".into(),
            heading: "Konto wiederherstellen".into(),
            before: vec![format!("Jemand möchte das Konto von {to} bei {site} wiederherstellen. Wenn Sie es sind, öffnen Sie diesen Link:")],
            link_text: "Mein Konto wiederherstellen",
            after: vec!["Wenn nicht, müssen Sie nichts tun: Der Link nützt nur denen, die diese Mail lesen.".into()],
            sms: format!("Stellen Sie Ihr Konto bei {brand} wieder her:"),
        },
        Template::RecoveryCodeInvalid | Template::RecoveryInvalid => Words {
            subject: "Kein Konto zum Wiederherstellen".into(),
            heading: "Zu dieser Adresse gibt es kein Konto".into(),
            before: vec![format!("Jemand möchte das Konto von {to} bei {site} wiederherstellen, aber dort hat kein Konto diese Adresse.")],
            after: vec!["Wenn Sie es sind, haben Sie sich vielleicht mit einer anderen Adresse angemeldet. Wenn nicht, müssen Sie nichts tun.".into()],
            sms: format!("Jemand möchte ein Konto bei {brand} wiederherstellen, aber keines hat diese Nummer."),
            ..Words::default()
        },
        Template::VerificationCodeValid { .. } => Words {
            subject: format!("{code} ist Ihr Code zum Bestätigen Ihrer Adresse"),
            heading: "Adresse bestätigen".into(),
            before: vec![format!("Jemand hat {to} bei {site} als Adresse angegeben. Wenn Sie es sind, geben Sie diesen Code dort ein, wo Sie danach gefragt werden, oder öffnen Sie den Link darunter:")],
            link_text: "Meine Adresse bestätigen",
            after: vec!["Wenn nicht, müssen Sie nichts tun: Die Adresse bleibt dann unbestätigt.".into()],
            sms: format!("{code} ist Ihr Code zum Bestätigen dieser Nummer bei {brand}. Geben Sie ihn nie weiter."),
        },
        Template::VerificationValid { .. } => Words {
            subject: "Adresse bestätigen".into(),
            heading: "Adresse bestätigen".into(),
            before: vec![format!("Jemand hat {to} bei {site} als Adresse angegeben. Wenn Sie es sind, öffnen Sie diesen Link:")],
            link_text: "Meine Adresse bestätigen",
            after: vec!["Wenn nicht, müssen Sie nichts tun: Die Adresse bleibt dann unbestätigt.".into()],
            sms: format!("Bestätigen Sie diese Nummer bei {brand}:"),
        },
        Template::VerificationCodeInvalid | Template::VerificationInvalid => Words {
            subject: "Kein Konto zum Bestätigen".into(),
            heading: "Zu dieser Adresse gibt es kein Konto".into(),
            before: vec![format!("Jemand möchte {to} bei {site} bestätigen, aber dort hat kein Konto diese Adresse.")],
            after: vec!["Wenn Sie es sind, haben Sie sich vielleicht mit einer anderen Adresse angemeldet. Wenn nicht, müssen Sie nichts tun.".into()],
            sms: format!("Jemand möchte diese Nummer bei {brand} bestätigen, aber kein Konto hat sie."),
            ..Words::default()
        },
        Template::LoginCodeValid { .. } => Words {
            subject: format!("{code} ist Ihr Code zum Anmelden"),
            heading: "Anmelden".into(),
            before: vec![format!("Jemand meldet sich bei {site} als {to} an. Wenn Sie es sind, geben Sie diesen Code dort ein, wo Sie danach gefragt werden:")],
            after: vec![keep],
            sms: format!("{code} ist Ihr Code zum Anmelden bei {brand}. Geben Sie ihn nie weiter."),
            ..Words::default()
        },
        Template::RegistrationCodeValid { .. } => Words {
            subject: format!("{code} ist Ihr Code zum Registrieren"),
            heading: "Registrieren".into(),
            before: vec![format!("Jemand registriert sich bei {site} als {to}. Wenn Sie es sind, geben Sie diesen Code dort ein, wo Sie danach gefragt werden:")],
            after: vec![keep],
            sms: format!("{code} ist Ihr Code zum Registrieren bei {brand}. Geben Sie ihn nie weiter."),
            ..Words::default()
        },
        Template::VerifiableAddressChanged { changed_at } => Words {
            subject: "Eine Adresse Ihres Kontos wurde geändert".into(),
            heading: "Eine Adresse Ihres Kontos wurde geändert".into(),
            before: vec![format!("Am {} wurde eine Adresse Ihres Kontos bei {site} geändert. Diese Mail geht an {to}, weil die Adresse vorher dazugehörte.", date(*changed_at))],
            after: vec!["Wenn Sie es waren, müssen Sie nichts tun. Wenn nicht, melden Sie sich an, prüfen Sie Ihre Adressen und ändern Sie Ihr Passwort; kommen Sie nicht hinein, wenden Sie sich an die Betreiber der Seite.".into()],
            sms: format!("Eine Adresse Ihres Kontos bei {brand} wurde geändert. Wenn Sie es nicht waren, melden Sie sich an und ändern Sie Ihr Passwort."),
            ..Words::default()
        },
    }
}

fn validity(lang: Lang, code: bool, span: Span) -> String {
    let minutes = minutes(span);
    let (amount, unit) = if minutes >= 120 && minutes % 60 == 0 { (minutes / 60, true) } else { (minutes, false) };
    match lang {
        Lang::En => {
            let unit = match (unit, amount) {
                (true, _) => "hours",
                (false, 1) => "minute",
                (false, _) => "minutes",
            };
            let what = if code { "code" } else { "link" };
            format!("The {what} works once and is valid for {amount} {unit}.")
        }
        Lang::De => {
            let unit = match (unit, amount) {
                (true, _) => "Stunden",
                (false, 1) => "Minute",
                (false, _) => "Minuten",
            };
            let what = if code { "Der Code" } else { "Der Link" };
            format!("{what} gilt einmal und {amount} {unit} lang.")
        }
    }
}

/// Whole minutes, rounded up, so that nothing that is still valid is said to be over.
pub(super) fn minutes(span: Span) -> i64 {
    (span.as_seconds() + 59) / 60
}

/// To the minute, in UTC: where the reader lives is not known.
fn date(at: Time) -> String {
    let text = at.truncated_to_seconds().to_string();
    match text.split_once('T') {
        Some((day, time)) if time.len() >= 5 && time.is_char_boundary(5) => format!("{day}, {} UTC", &time[..5]),
        _ => text,
    }
}
