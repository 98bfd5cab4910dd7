//! German for the sentences that messages carry as their `reason`: what people read when no message of its own fits.
//! [`Message::in_language`](crate::Message::in_language) looks here; the context on the wire keeps the English sentence.
//! Sentences for developers (bodies that are no JSON, headers that do not belong) are not translated.

/// English and German; `{}` stands for a value, at most once.
const REASONS: &[(&str, &str)] = &[
    ("This contains characters that cannot be seen. Type it again.", "Das enthält unsichtbare Zeichen. Tippen Sie es neu ein."),
    ("This may not be empty.", "Das darf nicht leer sein."),
    ("Enter a date, like 2026-07-29.", "Geben Sie ein Datum ein, etwa 2026-07-29."),
    (
        "Enter a date and time with its zone, like 2026-07-29T18:30:00Z.",
        "Geben Sie Datum und Uhrzeit mit Zone ein, etwa 2026-07-29T18:30:00Z.",
    ),
    ("Enter a time with its zone, like 18:30:00Z.", "Geben Sie eine Uhrzeit mit Zone ein, etwa 18:30:00Z."),
    ("Enter a full web address, like https://example.org.", "Geben Sie eine vollständige Adresse ein, etwa https://example.org."),
    ("This does not have the form that is asked for ({}).", "Das hat nicht die verlangte Form ({})."),
    ("This does not have the form that is asked for.", "Das hat nicht die verlangte Form."),
    ("Choose one of the given values.", "Wählen Sie einen der vorgegebenen Werte."),
    ("This form does not know these fields: {}.", "Dieses Formular kennt diese Felder nicht: {}."),
    ("There are more entries than allowed.", "Das sind mehr Einträge als erlaubt."),
    ("This field cannot be filled in.", "Dieses Feld kann nicht ausgefüllt werden."),
    ("An entry that is asked for is missing.", "Ein verlangter Eintrag fehlt."),
    ("At most {} fields are allowed here.", "Hier sind höchstens {} Felder erlaubt."),
    ("At least {} fields are needed here.", "Hier werden mindestens {} Felder gebraucht."),
    ("This value is not allowed.", "Dieser Wert ist nicht erlaubt."),
    (
        "This fits several of the allowed forms, but must fit exactly one.",
        "Das passt zu mehreren erlaubten Formen, darf aber nur zu einer passen.",
    ),
    ("A field has a name that is not allowed.", "Ein Feld hat einen Namen, der nicht erlaubt ist."),
    ("What was entered is nested too deeply.", "Die Eingabe ist zu tief verschachtelt."),
    ("What was entered is too long altogether.", "Die Eingabe ist insgesamt zu lang."),
    (
        "This cannot be used to sign in or to reach you. Check how it is written.",
        "Damit können Sie sich nicht anmelden und nicht erreicht werden. Prüfen Sie die Schreibweise.",
    ),
    ("There is no such provider to sign in with.", "Einen solchen Anbieter für die Anmeldung gibt es nicht."),
    (
        "This is not an account that you connected. Use the one that you connected here.",
        "Das ist kein Konto, das Sie verbunden haben. Verwenden Sie das, das Sie hier verbunden haben.",
    ),
    ("Connect one account or disconnect one, not both at once.", "Verbinden oder trennen Sie ein Konto, nicht beides zugleich."),
    (
        "There is no such provider, or an account there is connected already.",
        "Einen solchen Anbieter gibt es nicht, oder ein Konto dort ist schon verbunden.",
    ),
    (
        "There is no such provider, or no account there is connected.",
        "Einen solchen Anbieter gibt es nicht, oder kein Konto dort ist verbunden.",
    ),
    (
        "This is your only way in, so it can't be disconnected. Set a password or add a passkey first.",
        "Das ist Ihr einziger Zugang, deshalb kann er nicht getrennt werden. Legen Sie zuerst ein Passwort oder einen Passkey an.",
    ),
    ("The provider sent no code along.", "Der Anbieter hat keinen Code mitgeschickt."),
    (
        "You did not agree at the provider, so nothing was changed.",
        "Sie haben beim Anbieter nicht zugestimmt, deshalb wurde nichts geändert.",
    ),
    (
        "The account with this address has another account of this provider connected. Sign in to it and disconnect that one first.",
        "Das Konto mit dieser Adresse ist mit einem anderen Konto dieses Anbieters verbunden. Melden Sie sich dort an und trennen Sie zuerst das andere.",
    ),
    ("The provider refused: {}.", "Der Anbieter hat abgelehnt: {}."),
    ("The provider gave an answer that cannot be used: {}.", "Die Antwort des Anbieters ist nicht brauchbar: {}."),
    (
        "The provider sent no id token; the scope openid has to be allowed there.",
        "Der Anbieter hat kein ID-Token geschickt; der Scope openid muss dort erlaubt sein.",
    ),
    ("The id token does not verify: {}.", "Das ID-Token lässt sich nicht bestätigen: {}."),
    (
        "The answer came from another provider than the one that was asked.",
        "Die Antwort kam von einem anderen Anbieter als dem gefragten.",
    ),
    ("The sign-in was begun with another provider.", "Die Anmeldung wurde bei einem anderen Anbieter begonnen."),
    (
        "The provider's id token and its userinfo speak of different people.",
        "ID-Token und Auskunft des Anbieters sprechen von verschiedenen Personen.",
    ),
    (
        "What the provider said cannot be turned into an account. Tell the people who run this service.",
        "Aus dem, was der Anbieter sagt, lässt sich kein Konto machen. Sagen Sie es den Betreibern dieses Dienstes.",
    ),
    ("The server has too much to do; please try again.", "Der Server hat zu viel zu tun; versuchen Sie es noch einmal."),
    ("The server cannot show the provider who it is.", "Der Server kann sich beim Anbieter nicht ausweisen."),
    ("The address to return to is not allowed.", "Die Adresse für die Rückkehr ist nicht erlaubt."),
    (
        "Somebody else changed this account at the same moment. Look at it and try again.",
        "Dieses Konto wurde im selben Moment anderswo geändert. Sehen Sie es sich an und versuchen Sie es noch einmal.",
    ),
    (
        "Nothing was sent, and no earlier change is waiting to be continued.",
        "Es wurde nichts gesendet, und keine frühere Änderung wartet auf ihre Fortsetzung.",
    ),
    (
        "You are signed in already. Sign out first to sign in as somebody else.",
        "Sie sind schon angemeldet. Melden Sie sich zuerst ab, um sich als jemand anderes anzumelden.",
    ),
    (
        "Too many codes were tried. Start over to get a new one.",
        "Es wurden zu viele Codes versucht. Beginnen Sie von vorn, um einen neuen zu bekommen.",
    ),
    (
        "This code was used already. Have a new one sent.",
        "Dieser Code wurde schon benutzt. Lassen Sie sich einen neuen schicken.",
    ),
    ("There are no backup codes to show.", "Es gibt keine Ersatzcodes, die gezeigt werden könnten."),
    (
        "There are no new backup codes to confirm. Make new ones first.",
        "Es gibt keine neuen Ersatzcodes zu bestätigen. Erstellen Sie zuerst neue.",
    ),
    (
        "This key brings no attestation of its model, and here one is asked for.",
        "Dieser Schlüssel bringt keine Bescheinigung seines Modells mit, und hier wird eine verlangt.",
    ),
    ("Keys cannot be added from this page.", "Von dieser Seite aus lassen sich keine Schlüssel hinzufügen."),
    (
        "This key could not be confirmed. Try again.",
        "Dieser Schlüssel konnte nicht bestätigt werden. Versuchen Sie es noch einmal.",
    ),
    ("This key is registered already.", "Dieser Schlüssel ist schon registriert."),
    (
        "There is no such key any more. Look at the list and try again.",
        "Diesen Schlüssel gibt es nicht mehr. Sehen Sie in die Liste und versuchen Sie es noch einmal.",
    ),
    (
        "There are {} keys already. Remove one that you do not use any more.",
        "Es sind schon {} Schlüssel. Entfernen Sie einen, den Sie nicht mehr benutzen.",
    ),
    (
        "This passkey is your only way in, so it can't be removed. Set a password or add another passkey first.",
        "Dieser Passkey ist Ihr einziger Zugang und kann deshalb nicht entfernt werden. Legen Sie zuerst ein Passwort fest oder fügen Sie einen weiteren Passkey hinzu.",
    ),
    (
        "This key is your only way in, so it can't be removed. Set a password or add another key first.",
        "Dieser Schlüssel ist Ihr einziger Zugang und kann deshalb nicht entfernt werden. Legen Sie zuerst ein Passwort fest oder fügen Sie einen weiteren Schlüssel hinzu.",
    ),
    ("Enter the address or name that you sign in with.", "Geben Sie die Adresse oder den Namen ein, womit Sie sich anmelden."),
    ("it is among those that are guessed first.", "Dieses gehört zu denen, die als Erste geraten werden."),
];

/// The German sentence for an English one; `None` for sentences that are not in the table.
pub(crate) fn german(reason: &str) -> Option<String> {
    REASONS.iter().find_map(|(en, de)| match en.split_once("{}") {
        None => (*en == reason).then(|| (*de).to_owned()),
        Some((before, after)) => {
            let value = reason.strip_prefix(before)?.strip_suffix(after)?;
            Some(de.replacen("{}", value, 1))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_values() {
        assert_eq!(german("This may not be empty.").as_deref(), Some("Das darf nicht leer sein."));
        let named = german("This does not have the form that is asked for (uuid).");
        assert_eq!(named.as_deref(), Some("Das hat nicht die verlangte Form (uuid)."));
        assert_eq!(german("Something else."), None);
    }

    #[test]
    fn both_languages_name_the_same_values() {
        for (en, de) in REASONS {
            assert_eq!(en.matches("{}").count(), de.matches("{}").count(), "{en}");
            assert!(en.matches("{}").count() <= 1, "{en}");
        }
    }
}
