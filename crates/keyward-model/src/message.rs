//! Everything Keyward says to a person, as one table: id, kind, and the sentence in each language.
//! Methods and stories make [`Message`]s by id and context; the sentence is chosen when the answer is rendered.
//! Ids, kinds and context keys are the contract (settings 7, login 15); the sentences are our own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Time, reasons};

/// A language that the message table speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    /// English, the default.
    #[default]
    En,
    /// German.
    De,
}

impl Lang {
    /// Picks from an `Accept-Language` header (RFC 9110 section 12.5.4) by the highest weight; English when none fits.
    pub fn negotiate(accept_language: Option<&str>) -> Self {
        let mut best = (Self::En, 0.0);
        for range in accept_language.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let lang = match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "en" => Self::En,
                "de" => Self::De,
                _ => continue,
            };
            if weight > best.1 {
                best = (lang, weight);
            }
        }
        best.0
    }

    /// The BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// A label, hint or next step.
    Info,
    /// A refusal.
    Error,
    /// Something was done.
    Success,
}

/// A message in the wire's form (`uiText`); also what flows store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Pinned number.
    pub id: u32,
    /// The sentence. In a stored flow this is English; [`Message::in_language`] chooses anew.
    pub text: String,
    /// How it is meant.
    #[serde(rename = "type")]
    pub kind: MessageKind,
    /// Named values, for clients that write their own sentences.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
}

impl Message {
    /// The message `id` with its named values; English.
    /// An id without a row gives an empty sentence: the pinned-id test keeps that from happening.
    pub fn new(id: u32, context: Value) -> Self {
        let context = match context {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let row = row(id);
        let text = row.map(|row| fill(row.en, &context)).unwrap_or_default();
        Self { id, text, kind: row.map_or(MessageKind::Error, |row| row.kind), context }
    }

    /// A message without named values.
    pub fn plain(id: u32) -> Self {
        Self::new(id, Value::Null)
    }

    /// The general refusal 4000001, whose sentence is its reason.
    pub fn reason(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(4_000_001, json!({ "reason": reason.into() }))
    }

    /// A property is missing (4000002); `property` is the last part of its path.
    pub fn missing(property: &str) -> Self {
        Self::new(4_000_002, json!({ "property": property }))
    }

    /// A flow of this id's kind had expired and this is its replacement (4010001, 4040001, 4050001).
    pub fn expired(id: u32, expired_at: Time) -> Self {
        Self::new(id, json!({ "expired_at": expired_at, "expired_at_unix": expired_at.unix() }))
    }

    /// Somebody is back in their account, and until this instant they need not sign in again to change it (1060001).
    pub fn recovered(privileged_until: Time) -> Self {
        let context = json!({
            // Older clients know this spelling.
            "privilegedSessionExpiresAt": privileged_until,
            "privileged_session_expires_at": privileged_until,
            "privileged_session_expires_at_unix": privileged_until.unix(),
        });
        Self::new(1_060_001, context)
    }

    /// The label of a trait or identifier field (1070002).
    pub fn title(title: &str, name: &str) -> Self {
        Self::new(1_070_002, json!({ "title": title, "name": name }))
    }

    /// The same message with its sentence in `lang`. Messages that are not in the table (from web hooks) stay as they are.
    #[must_use]
    pub fn in_language(mut self, lang: Lang) -> Self {
        if let Some(row) = row(self.id)
            && lang != Lang::En
        {
            let reason = self.context.get("reason").and_then(Value::as_str).and_then(reasons::german);
            self.text = match reason {
                None => fill(row.text(lang), &self.context),
                Some(reason) => {
                    let mut context = self.context.clone();
                    context["reason"] = Value::String(reason);
                    fill(row.text(lang), &context)
                }
            };
        }
        self
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct MessageRow {
    /// Pinned number.
    pub id: u32,
    /// How it is meant.
    pub kind: MessageKind,
    /// English; `{name}` stands for a context value.
    pub en: &'static str,
    /// German.
    pub de: &'static str,
}

impl MessageRow {
    const fn text(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::De => self.de,
        }
    }
}

/// The table, in ascending order of ids.
pub const fn messages() -> &'static [MessageRow] {
    MESSAGES
}

fn row(id: u32) -> Option<&'static MessageRow> {
    MESSAGES.binary_search_by_key(&id, |row| row.id).ok().map(|index| &MESSAGES[index])
}

fn fill(pattern: &str, context: &Map<String, Value>) -> String {
    let mut text = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let Some(close) = after.find('}') else { break };
        match context.get(&after[..close]) {
            Some(Value::String(value)) => text.push_str(value),
            Some(Value::Array(values)) => {
                let words: Vec<_> =
                    values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
                text.push_str(&words.join(", "));
            }
            Some(value) => text.push_str(&value.to_string()),
            None => {}
        }
        rest = &after[close + 1..];
    }
    text.push_str(rest);
    text
}

const fn info(id: u32, en: &'static str, de: &'static str) -> MessageRow {
    MessageRow { id, kind: MessageKind::Info, en, de }
}

const fn error(id: u32, en: &'static str, de: &'static str) -> MessageRow {
    MessageRow { id, kind: MessageKind::Error, en, de }
}

const fn success(id: u32, en: &'static str, de: &'static str) -> MessageRow {
    MessageRow { id, kind: MessageKind::Success, en, de }
}

#[rustfmt::skip]
const MESSAGES: &[MessageRow] = &[
    // Sign in
    info(1_010_001, "Sign in", "Anmelden"),
    info(1_010_002, "Sign in with {provider}", "Mit {provider} anmelden"),
    info(1_010_003, "Confirm that it's you, and we carry on where you left off.", "Bestätigen Sie, dass Sie es sind. Danach geht es weiter, wo Sie aufgehört haben."),
    info(1_010_004, "One more step: confirm with your second factor.", "Noch ein Schritt: Bestätigen Sie mit Ihrem zweiten Faktor."),
    info(1_010_006, "Code from your authenticator app", "Code aus Ihrer Authenticator-App"),
    info(1_010_007, "Backup code", "Ersatzcode"),
    info(1_010_008, "Sign in with a security key", "Mit einem Sicherheitsschlüssel anmelden"),
    info(1_010_009, "Confirm with the code", "Mit dem Code bestätigen"),
    info(1_010_010, "Confirm with a backup code", "Mit einem Ersatzcode bestätigen"),
    info(1_010_012, "Have your security key ready.", "Halten Sie Ihren Sicherheitsschlüssel bereit."),
    info(1_010_013, "Use the security key", "Sicherheitsschlüssel verwenden"),
    info(1_010_014, "We sent a code to the address you gave. Enter it here.", "Wir haben einen Code an die angegebene Adresse geschickt. Geben Sie ihn hier ein."),
    info(1_010_015, "Send me a sign-in code", "Anmeldecode zusenden"),
    info(1_010_016, "{duplicateIdentifier} belongs to an account already. Sign in to it, and your account at {provider} is connected.", "{duplicateIdentifier} gehört schon zu einem Konto. Melden Sie sich dort an, dann wird Ihr Konto bei {provider} verbunden."),
    info(1_010_017, "Sign in and connect", "Anmelden und verbinden"),
    info(1_010_018, "Sign in with {provider} and connect", "Mit {provider} anmelden und verbinden"),
    info(1_010_021, "Sign in with a passkey", "Mit einem Passkey anmelden"),
    info(1_010_022, "Sign in with password", "Mit Passwort anmelden"),
    info(1_010_023, "Send a code to {address}", "Code an {address} senden"),
    info(1_010_025, "We sent a code to {address}. Enter it here.", "Wir haben einen Code an {address} geschickt. Geben Sie ihn hier ein."),
    // Sign up
    info(1_040_001, "Create account", "Konto anlegen"),
    info(1_040_002, "Sign up with {provider}", "Mit {provider} registrieren"),
    info(1_040_003, "Continue", "Weiter"),
    info(1_040_004, "Sign up with a security key", "Mit einem Sicherheitsschlüssel registrieren"),
    info(1_040_005, "We sent a code to the address you gave. Enter it here to create the account.", "Wir haben einen Code an die angegebene Adresse geschickt. Geben Sie ihn hier ein, um das Konto anzulegen."),
    info(1_040_006, "Send me a code", "Code zusenden"),
    info(1_040_007, "Sign up with a passkey", "Mit einem Passkey registrieren"),
    // Settings
    success(1_050_001, "Your changes are saved.", "Ihre Änderungen sind gespeichert."),
    info(1_050_002, "Connect {provider}", "{provider} verbinden"),
    info(1_050_003, "Disconnect {provider}", "{provider} trennen"),
    info(1_050_004, "Remove the authenticator app", "Authenticator-App entfernen"),
    info(1_050_005, "Scan this picture with your authenticator app.", "Scannen Sie dieses Bild mit Ihrer Authenticator-App."),
    info(1_050_006, "{secret}", "{secret}"),
    info(1_050_007, "Show the backup codes", "Ersatzcodes anzeigen"),
    info(1_050_008, "Make new backup codes", "Neue Ersatzcodes erstellen"),
    info(1_050_009, "{secret}", "{secret}"),
    info(1_050_010, "These are your backup codes. Keep them where you find them without your phone.", "Das sind Ihre Ersatzcodes. Bewahren Sie sie so auf, dass Sie sie ohne Ihr Telefon finden."),
    info(1_050_011, "I have saved the codes", "Ich habe die Codes gespeichert"),
    info(1_050_012, "Add a security key", "Sicherheitsschlüssel hinzufügen"),
    info(1_050_013, "Name of the key", "Name des Schlüssels"),
    info(1_050_014, "Used {used_at}", "Benutzt am {used_at}"),
    info(1_050_015, "", ""),
    info(1_050_016, "Remove the backup codes", "Ersatzcodes entfernen"),
    info(1_050_017, "Or type this key into the app.", "Oder tippen Sie diesen Schlüssel in die App."),
    info(1_050_018, "Remove the security key “{display_name}”", "Sicherheitsschlüssel „{display_name}“ entfernen"),
    info(1_050_019, "Add a passkey", "Passkey hinzufügen"),
    info(1_050_020, "Remove the passkey “{display_name}”", "Passkey „{display_name}“ entfernen"),
    success(1_060_001, "You are back in. Choose a new password before {privileged_session_expires_at}.", "Sie sind wieder angemeldet. Wählen Sie vor {privileged_session_expires_at} ein neues Passwort."),
    info(1_060_002, "If this address belongs to an account, a link is on its way to it. Open it to get back in.", "Wenn diese Adresse zu einem Konto gehört, ist ein Link dorthin unterwegs. Öffnen Sie ihn, um wieder hineinzukommen."),
    info(1_060_003, "If this address belongs to an account, a code is on its way to it. Enter the code here.", "Wenn diese Adresse zu einem Konto gehört, ist ein Code dorthin unterwegs. Geben Sie ihn hier ein."),
    info(1_060_004, "A code is on its way to {masked_address}. Enter the code here.", "Ein Code ist unterwegs an {masked_address}. Geben Sie ihn hier ein."),
    info(1_060_005, "Enter the whole address to show that you know it.", "Geben Sie die ganze Adresse ein, um zu zeigen, dass Sie sie kennen."),
    info(1_060_006, "Choose where the code should go.", "Wählen Sie, wohin der Code gehen soll."),
    info(1_060_007, "Back", "Zurück"),
    // Labels
    info(1_070_001, "Password", "Passwort"),
    info(1_070_002, "{title}", "{title}"),
    info(1_070_003, "Save", "Speichern"),
    info(1_070_004, "Email address or name", "E-Mail-Adresse oder Name"),
    info(1_070_005, "Continue", "Weiter"),
    info(1_070_006, "Code from the app", "Code aus der App"),
    info(1_070_007, "Email address", "E-Mail-Adresse"),
    info(1_070_008, "Send the code again", "Code noch einmal senden"),
    info(1_070_009, "Continue", "Weiter"),
    info(1_070_010, "Recovery code", "Wiederherstellungscode"),
    info(1_070_011, "Verification code", "Bestätigungscode"),
    info(1_070_012, "Code", "Code"),
    info(1_070_013, "Sign-in code", "Anmeldecode"),
    info(1_070_016, "Email address or phone number of the account", "E-Mail-Adresse oder Telefonnummer des Kontos"),
    info(1_070_017, "Phone number", "Telefonnummer"),
    info(1_070_018, "Email address or phone number", "E-Mail-Adresse oder Telefonnummer"),
    // Verification
    info(1_080_001, "A link to confirm the address is on its way to it.", "Ein Link zum Bestätigen der Adresse ist dorthin unterwegs."),
    success(1_080_002, "The email address is confirmed.", "Die E-Mail-Adresse ist bestätigt."),
    info(1_080_003, "A code to confirm the address is on its way to it. Enter it here.", "Ein Code zum Bestätigen der Adresse ist dorthin unterwegs. Geben Sie ihn hier ein."),
    info(1_080_004, "A code to confirm the phone number was sent to it. Enter it here.", "Ein Code zum Bestätigen der Telefonnummer wurde dorthin geschickt. Geben Sie ihn hier ein."),
    success(1_080_005, "The phone number is confirmed.", "Die Telefonnummer ist bestätigt."),
    // Refusals of a value
    error(4_000_001, "{reason}", "{reason}"),
    error(4_000_002, "Fill in this field: {property}.", "Füllen Sie dieses Feld aus: {property}."),
    error(4_000_003, "Use at least {min_length} characters. This has {actual_length}.", "Verwenden Sie mindestens {min_length} Zeichen. Das hier hat {actual_length}."),
    error(4_000_004, "This does not have the form that is asked for: {pattern}", "Das hat nicht die verlangte Form: {pattern}"),
    error(4_000_005, "Choose a different password: {reason}", "Wählen Sie ein anderes Passwort: {reason}"),
    error(4_000_006, "That address and password do not belong together. Check both and try again.", "Adresse und Passwort gehören nicht zusammen. Prüfen Sie beides und versuchen Sie es noch einmal."),
    error(4_000_007, "That address is already used by another account.", "Diese Adresse wird schon von einem anderen Konto verwendet."),
    error(4_000_008, "That code is not right. Codes change every 30 seconds: enter the one shown now. If it keeps failing, check the clock of your phone.", "Dieser Code stimmt nicht. Codes wechseln alle 30 Sekunden: Geben Sie den ein, der gerade angezeigt wird. Hilft das nicht, prüfen Sie die Uhr Ihres Telefons."),
    error(4_000_009, "This account has no address or name to sign in with, so this cannot be set up.", "Dieses Konto hat keine Adresse und keinen Namen zum Anmelden, deshalb lässt sich das nicht einrichten."),
    error(4_000_010, "Confirm your address before you sign in. Look for the message that was sent to it.", "Bestätigen Sie Ihre Adresse, bevor Sie sich anmelden. Suchen Sie nach der Nachricht, die dorthin geschickt wurde."),
    error(4_000_011, "There is no authenticator app for this account.", "Zu diesem Konto gehört keine Authenticator-App."),
    error(4_000_012, "That backup code was used before. Each code works once; enter another one.", "Dieser Ersatzcode wurde schon benutzt. Jeder Code gilt einmal; geben Sie einen anderen ein."),
    error(4_000_013, "There is no security key for this account.", "Zu diesem Konto gehört kein Sicherheitsschlüssel."),
    error(4_000_014, "There are no backup codes for this account.", "Zu diesem Konto gibt es keine Ersatzcodes."),
    error(4_000_015, "No account is known for this key.", "Zu diesem Schlüssel ist kein Konto bekannt."),
    error(4_000_016, "That is not one of your backup codes. Check it and try again.", "Das ist keiner Ihrer Ersatzcodes. Prüfen Sie ihn und versuchen Sie es noch einmal."),
    error(4_000_017, "Use at most {max_length} characters. This has {actual_length}.", "Verwenden Sie höchstens {max_length} Zeichen. Das hier hat {actual_length}."),
    error(4_000_018, "Enter {minimum} or more. This is {actual}.", "Geben Sie {minimum} oder mehr ein. Das hier ist {actual}."),
    error(4_000_019, "Enter more than {minimum}. This is {actual}.", "Geben Sie mehr als {minimum} ein. Das hier ist {actual}."),
    error(4_000_020, "Enter {maximum} or less. This is {actual}.", "Geben Sie höchstens {maximum} ein. Das hier ist {actual}."),
    error(4_000_021, "Enter less than {maximum}. This is {actual}.", "Geben Sie weniger als {maximum} ein. Das hier ist {actual}."),
    error(4_000_022, "Enter a multiple of {base}. This is {actual}.", "Geben Sie ein Vielfaches von {base} ein. Das hier ist {actual}."),
    error(4_000_023, "At most {max_items} entries are allowed. There are {actual_items}.", "Höchstens {max_items} Einträge sind erlaubt. Es sind {actual_items}."),
    error(4_000_024, "At least {min_items} entries are needed. There are {actual_items}.", "Mindestens {min_items} Einträge sind nötig. Es sind {actual_items}."),
    error(4_000_025, "Entries {index_a} and {index_b} are the same.", "Die Einträge {index_a} und {index_b} sind gleich."),
    error(4_000_026, "This should be {allowed_types}, but it is {actual_type}.", "Das sollte {allowed_types} sein, ist aber {actual_type}."),
    error(4_000_027, "An account with these details was made at the same moment. Try again.", "Im selben Augenblick wurde ein Konto mit diesen Angaben angelegt. Versuchen Sie es noch einmal."),
    error(4_000_028, "{credential_identifier_hint} belongs to an account already. Sign in with: {available_credential_types}.", "{credential_identifier_hint} gehört schon zu einem Konto. Melden Sie sich damit an: {available_credential_types}."),
    error(4_000_029, "This must be exactly {expected}.", "Das muss genau {expected} sein."),
    error(4_000_030, "This is not the value that is asked for.", "Das ist nicht der verlangte Wert."),
    error(4_000_031, "Choose a password that does not contain your address or name.", "Wählen Sie ein Passwort, das weder Ihre Adresse noch Ihren Namen enthält."),
    error(4_000_032, "Use at least {min_length} characters. This one has {actual_length}.", "Verwenden Sie mindestens {min_length} Zeichen. Dieses hat {actual_length}."),
    error(4_000_033, "Use at most {max_length} bytes. This one has {actual_length}.", "Verwenden Sie höchstens {max_length} Bytes. Dieses hat {actual_length}."),
    error(4_000_034, "Choose a different password: this one appears in {breaches} known leaks.", "Wählen Sie ein anderes Passwort: Dieses kommt in {breaches} bekannten Datenlecks vor."),
    error(4_000_035, "There is no account that signs in with a code at this address.", "Es gibt kein Konto, das sich mit einem Code an diese Adresse anmeldet."),
    error(4_000_036, "These details are not the ones that the code was sent for. Start over.", "Diese Angaben sind nicht die, für die der Code verschickt wurde. Beginnen Sie von vorn."),
    error(4_000_039, "This is your current password. Choose a new one.", "Das ist Ihr jetziges Passwort. Wählen Sie ein neues."),
    error(4_000_040, "Enter the email address in full, like name@example.org.", "Geben Sie die E-Mail-Adresse vollständig ein, etwa name@example.org."),
    error(4_000_041, "Enter the phone number with its country code, like +49 30 123456.", "Geben Sie die Telefonnummer mit Landesvorwahl ein, etwa +49 30 123456."),
    error(4_000_043, "This key could not be confirmed. Try again, or use another way to sign in.", "Dieser Schlüssel konnte nicht bestätigt werden. Versuchen Sie es noch einmal oder melden Sie sich anders an."),
    // Refusals of a flow
    error(4_010_001, "This page had been open for too long, so we reloaded it. Sign in again.", "Diese Seite war zu lange offen, deshalb haben wir sie neu geladen. Melden Sie sich noch einmal an."),
    error(4_010_002, "There is no way to sign in with what was sent. Choose one of the ways shown.", "Mit dem Gesendeten kann man sich nicht anmelden. Wählen Sie einen der gezeigten Wege."),
    error(4_010_003, "There is no way to create an account with what was sent. Choose one of the ways shown.", "Mit dem Gesendeten kann kein Konto angelegt werden. Wählen Sie einen der gezeigten Wege."),
    error(4_010_004, "Nothing here can be changed with what was sent. Choose one of the forms shown.", "Mit dem Gesendeten lässt sich hier nichts ändern. Wählen Sie eines der gezeigten Formulare."),
    error(4_010_005, "Nothing can be recovered with what was sent. Enter the address of your account.", "Mit dem Gesendeten lässt sich nichts wiederherstellen. Geben Sie die Adresse Ihres Kontos ein."),
    error(4_010_006, "Nothing can be confirmed with what was sent. Enter your address.", "Mit dem Gesendeten lässt sich nichts bestätigen. Geben Sie Ihre Adresse ein."),
    error(4_010_008, "That code is not right, or not valid any more. Check it, or have a new one sent.", "Dieser Code stimmt nicht oder gilt nicht mehr. Prüfen Sie ihn oder lassen Sie sich einen neuen schicken."),
    error(4_010_009, "This account does not have the address that your account at the provider has. Sign in to the one that has it.", "Dieses Konto hat nicht die Adresse, die Ihr Konto beim Anbieter hat. Melden Sie sich bei dem an, das sie hat."),
    error(4_010_010, "That address does not belong to this account.", "Diese Adresse gehört nicht zu diesem Konto."),
    error(4_010_011, "This account is switched off. Ask the people who run this service.", "Dieses Konto ist abgeschaltet. Fragen Sie die Betreiber dieses Dienstes."),
    error(4_040_001, "This page had been open for too long, so we reloaded it. Enter your details again.", "Diese Seite war zu lange offen, deshalb haben wir sie neu geladen. Geben Sie Ihre Daten noch einmal ein."),
    error(4_040_003, "That code is not right, or not valid any more. Check it, or have a new one sent.", "Dieser Code stimmt nicht oder gilt nicht mehr. Prüfen Sie ihn oder lassen Sie sich einen neuen schicken."),
    error(4_050_001, "This page had been open for too long, so we reloaded it. Your last change was not saved. Enter it again.", "Diese Seite war zu lange offen, deshalb haben wir sie neu geladen. Ihre letzte Änderung wurde nicht gespeichert. Geben Sie sie noch einmal ein."),
    error(4_050_002, "Change one address at a time.", "Ändern Sie immer nur eine Adresse auf einmal."),
    error(4_060_001, "This recovery is over already. Start a new one if you need it.", "Diese Wiederherstellung ist schon abgeschlossen. Beginnen Sie bei Bedarf eine neue."),
    error(4_060_002, "This recovery cannot go on. Start over.", "Diese Wiederherstellung kann nicht weitergehen. Beginnen Sie von vorn."),
    error(4_060_003, "The link is not complete. Open it again from the mail.", "Der Link ist nicht vollständig. Öffnen Sie ihn noch einmal aus der Mail."),
    error(4_060_004, "This link was used before or is not valid. Have a new one sent.", "Dieser Link wurde schon benutzt oder ist ungültig. Lassen Sie sich einen neuen schicken."),
    error(4_060_005, "This took too long, so we start over. Enter your address again.", "Das hat zu lange gedauert, deshalb beginnen wir von vorn. Geben Sie Ihre Adresse noch einmal ein."),
    error(4_060_006, "That code is not right, or not valid any more. Check it, or have a new one sent.", "Dieser Code stimmt nicht oder gilt nicht mehr. Prüfen Sie ihn oder lassen Sie sich einen neuen schicken."),
    error(4_070_001, "This link was used before or is not valid. Have a new one sent.", "Dieser Link wurde schon benutzt oder ist ungültig. Lassen Sie sich einen neuen schicken."),
    error(4_070_002, "This address is confirmed already.", "Diese Adresse ist schon bestätigt."),
    error(4_070_003, "This confirmation cannot go on. Start over.", "Diese Bestätigung kann nicht weitergehen. Beginnen Sie von vorn."),
    error(4_070_004, "The link is not complete. Open it again from the mail.", "Der Link ist nicht vollständig. Öffnen Sie ihn noch einmal aus der Mail."),
    error(4_070_005, "This took too long, so we start over. Enter your address again.", "Das hat zu lange gedauert, deshalb beginnen wir von vorn. Geben Sie Ihre Adresse noch einmal ein."),
    error(4_070_006, "That code is not right, or not valid any more. Check it, or have a new one sent.", "Dieser Code stimmt nicht oder gilt nicht mehr. Prüfen Sie ihn oder lassen Sie sich einen neuen schicken."),
    error(5_000_001, "Something went wrong on our side: {reason}", "Bei uns ist etwas schiefgegangen: {reason}"),
    // Only ours
    error(7_900_001, "Too many tries. Wait {retry_after} seconds, then try again.", "Zu viele Versuche. Warten Sie {retry_after} Sekunden und versuchen Sie es dann noch einmal."),
    info(7_900_002, "You have {left} backup codes left. Make new ones in your settings.", "Sie haben noch {left} Ersatzcodes. Erstellen Sie in den Einstellungen neue."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_pinned_in_order_and_every_language_names_the_same_values() {
        let names = |text: &str| {
            let mut names: Vec<_> =
                text.split('{').skip(1).filter_map(|part| part.split('}').next().map(str::to_owned)).collect();
            names.sort();
            names
        };
        for pair in MESSAGES.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} is out of order", pair[1].id);
        }
        for row in MESSAGES {
            assert_eq!(names(row.en), names(row.de), "{}", row.id);
            let kind = match row.id {
                1_050_001 | 1_060_001 | 1_080_002 | 1_080_005 => MessageKind::Success,
                7_900_002 => MessageKind::Info,
                id if id < 4_000_000 => MessageKind::Info,
                _ => MessageKind::Error,
            };
            assert_eq!(row.kind, kind, "{}", row.id);
        }
    }

    #[test]
    fn values_are_filled_in_and_never_reinterpreted() {
        let message = Message::new(4_000_032, json!({"min_length": 8, "actual_length": 3}));
        assert_eq!(message.text, "Use at least 8 characters. This one has 3.");
        assert_eq!(message.in_language(Lang::De).text, "Verwenden Sie mindestens 8 Zeichen. Dieses hat 3.");
        let refused = Message::reason("This may not be empty.").in_language(Lang::De);
        assert_eq!(refused.text, "Das darf nicht leer sein.");
        assert_eq!(refused.context["reason"], "This may not be empty.");
        assert_eq!(Message::title("{name}", "traits.x").text, "{name}");
        let hook = Message { id: 1234, text: "from a hook".into(), kind: MessageKind::Error, context: Map::new() };
        assert_eq!(hook.in_language(Lang::De).text, "from a hook");
    }

    #[test]
    fn language_follows_the_header() {
        for (header, lang) in [
            (None, Lang::En),
            (Some("de-AT,de;q=0.9,en;q=0.8"), Lang::De),
            (Some("fr, de;q=0.2, en;q=0.5"), Lang::En),
            (Some("de;q=0"), Lang::En),
            (Some(";;;,"), Lang::En),
        ] {
            assert_eq!(Lang::negotiate(header), lang, "{header:?}");
        }
    }
}
