//! Every sentence that belongs to the pages themselves, in one table, in each language.
//! Templates reach it as `t('key', name=value)`; view builders through [`fill`].
//! Messages and labels that come with a flow are here only where the pages say more than the flow does.

mod keys;
mod mail;
mod social;

use keyward_model::Lang;

/// Key, English, German. Values stand in braces; no sentence is glued from fragments.
const TABLE: &[(&str, &str, &str)] = &[
    // frame
    ("skip", "Skip to content", "Zum Inhalt springen"),
    ("theme", "Switch between light and dark", "Zwischen hell und dunkel wechseln"),
    ("sign_out", "Sign out", "Abmelden"),
    ("account_nav", "Account", "Konto"),
    ("page_nav", "On this page", "Auf dieser Seite"),
    ("other_language", "Deutsch", "English"),
    ("error_title", "Error: {title}", "Fehler: {title}"),
    ("error_prefix", "Error:", "Fehler:"),
    ("months", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez."),
    // forms
    ("optional", "(optional)", "(freiwillig)"),
    ("show", "Show", "Zeigen"),
    ("show_field", "Show: {label}", "Zeigen: {label}"),
    ("choose", "Choose one", "Bitte auswählen"),
    ("or", "or", "oder"),
    ("forgot", "Forgot it?", "Vergessen?"),
    ("needs_script", "This needs JavaScript: {label}", "Dafür ist JavaScript nötig: {label}"),
    ("summary", "{count} answers need another look", "{count} Angaben brauchen noch einen Blick"),
    ("password_hint", "A few unrelated words work well.", "Ein paar Wörter ohne Zusammenhang eignen sich gut."),
    ("copy", "Copy", "Kopieren"),
    ("copied", "Copied.", "Kopiert."),
    (
        "copy_failed",
        "Copying failed. Select the text and copy it by hand.",
        "Das Kopieren ging nicht. Markieren Sie den Text und kopieren Sie ihn von Hand.",
    ),
    ("code_used", "Used", "Benutzt"),
    ("code_used_on", "Used {day}", "Benutzt {day}"),
    ("qr_alt", "QR code with the key that is written next to it", "QR-Code mit dem Schlüssel, der daneben steht"),
    // refusals and warnings of the second step
    (
        "totp_short",
        "Enter all 6 digits of the code that the app shows.",
        "Geben Sie alle 6 Ziffern des Codes ein, den die App zeigt.",
    ),
    (
        "totp_absent",
        "This account has no authenticator app. Choose another way.",
        "Zu diesem Konto gehört keine Authenticator-App. Wählen Sie einen anderen Weg.",
    ),
    ("backup_missing", "Enter one of your backup codes.", "Geben Sie einen Ihrer Ersatzcodes ein."),
    (
        "backup_absent",
        "This account has no backup codes. Choose another way.",
        "Zu diesem Konto gibt es keine Ersatzcodes. Wählen Sie einen anderen Weg.",
    ),
    (
        "wait_moment",
        "Too many tries. Wait a moment, then try again.",
        "Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es dann noch einmal.",
    ),
    (
        "wait_seconds",
        "Too many tries. Wait {seconds} seconds, then try again.",
        "Zu viele Versuche. Warten Sie {seconds} Sekunden und versuchen Sie es dann noch einmal.",
    ),
    (
        "wait_minutes",
        "Too many tries. Wait {minutes} minutes, then try again.",
        "Zu viele Versuche. Warten Sie {minutes} Minuten und versuchen Sie es dann noch einmal.",
    ),
    (
        "codes_left_none",
        "No backup code is left. Make new ones now, before you need one: open the codes below.",
        "Kein Ersatzcode ist mehr übrig. Erzeugen Sie jetzt neue, bevor Sie einen brauchen: Öffnen Sie unten die Codes.",
    ),
    (
        "codes_left_one",
        "Only one backup code is left. Make new ones before you run out: open the codes below.",
        "Nur ein Ersatzcode ist noch übrig. Erzeugen Sie neue, bevor keiner mehr da ist: Öffnen Sie unten die Codes.",
    ),
    (
        "codes_left",
        "Only {left} backup codes are left. Make new ones before you run out: open the codes below.",
        "Nur {left} Ersatzcodes sind noch übrig. Erzeugen Sie neue, bevor keiner mehr da ist: Öffnen Sie unten die Codes.",
    ),
    // labels and verbs
    ("identifier", "Email address or user name", "E-Mail-Adresse oder Benutzername"),
    ("password", "Password", "Passwort"),
    ("new_password", "New password", "Neues Passwort"),
    ("sign_in", "Sign in", "Anmelden"),
    ("confirm", "Confirm", "Bestätigen"),
    ("create_account", "Create account", "Konto anlegen"),
    ("continue", "Continue", "Weiter"),
    ("save", "Save", "Speichern"),
    ("change_password", "Save the password", "Passwort speichern"),
    ("turn_on", "Turn on", "Einschalten"),
    ("send_code", "Send me a code", "Code zusenden"),
    ("send_link", "Send the link", "Link senden"),
    ("totp_remove", "Remove the authenticator app", "Authenticator-App entfernen"),
    ("codes_show", "Show the backup codes", "Ersatzcodes zeigen"),
    ("codes_make", "Make new backup codes", "Neue Ersatzcodes erzeugen"),
    ("codes_saved", "I have saved them", "Ich habe sie gesichert"),
    ("codes_off", "Turn off backup codes", "Ersatzcodes abschalten"),
    ("back", "Back", "Zurück"),
    // sign in, sign up
    ("login_title", "Sign in", "Anmelden"),
    ("refresh_title", "Confirm it’s you", "Bestätigen Sie, dass Sie es sind"),
    ("refresh_cancel", "Cancel and go back to your account", "Abbrechen und zurück zum Konto"),
    ("second_step_title", "One more step", "Noch ein Schritt"),
    ("enter_code_title", "Enter your code", "Geben Sie Ihren Code ein"),
    ("use_backup_title", "Use a backup code", "Geben Sie einen Ersatzcode ein"),
    (
        "enter_code",
        "Open your authenticator app and enter the 6 digits that it shows for this account.",
        "Öffnen Sie Ihre Authenticator-App und geben Sie die 6 Ziffern ein, die dort für dieses Konto stehen.",
    ),
    (
        "enter_backup",
        "Enter one of the backup codes that you saved. Each works once.",
        "Geben Sie einen der Ersatzcodes ein, die Sie gesichert haben. Jeder gilt einmal.",
    ),
    ("way_totp", "Use the authenticator app", "Authenticator-App benutzen"),
    ("way_totp_more", "The 6 digits that it shows", "Die 6 Ziffern, die sie zeigt"),
    ("way_lookup_secret", "Use a backup code", "Ersatzcode benutzen"),
    ("way_lookup_secret_more", "One of the codes that you saved", "Einer der Codes, die Sie gesichert haben"),
    ("no_app", "no access to the app?", "die App ist nicht zur Hand?"),
    (
        "no_second_step",
        "None of your second steps works here. Sign in another way, or ask the people who run {brand}.",
        "Keiner Ihrer zweiten Schritte geht hier. Melden Sie sich anders an, oder fragen Sie die Betreiber von {brand}.",
    ),
    ("new_here", "New here?", "Neu hier?"),
    ("new_here_link", "Create an account", "Konto anlegen"),
    ("not_you", "Not you?", "Nicht Sie?"),
    ("registration_title", "Create an account", "Konto anlegen"),
    ("have_account", "Already have an account?", "Schon ein Konto?"),
    ("have_account_link", "Sign in", "Anmelden"),
    (
        "nothing_offered",
        "There is nothing to fill in here. Start again, or ask for help if this page keeps coming back.",
        "Hier gibt es nichts auszufüllen. Fangen Sie noch einmal an, oder fragen Sie um Hilfe, wenn diese Seite immer wieder kommt.",
    ),
    // account centre
    ("settings_title", "Sign-in & profile", "Anmeldung & Profil"),
    ("signed_in_as", "Signed in as {who}", "Angemeldet als {who}"),
    ("guard_none_title", "Add a second step", "Richten Sie einen zweiten Schritt ein"),
    (
        "guard_none_text",
        "Whoever gets past your one way in, such as a guessed password, is in your account. An authenticator app takes two minutes.",
        "Wer Ihren einen Anmeldeweg überwindet, etwa ein Passwort errät, ist in Ihrem Konto. Eine Authenticator-App ist in zwei Minuten eingerichtet.",
    ),
    ("guard_on_title", "Two-step sign-in is on", "Die Anmeldung in zwei Schritten ist an"),
    (
        "guard_on_text",
        "Whoever gets past your first step, such as a password, still lacks your second one.",
        "Wer den ersten Schritt überwindet, etwa ein Passwort, dem fehlt noch der zweite.",
    ),
    (
        "guard_no_codes_text",
        "Whoever gets past your first step, such as a password, still lacks your second one. Backup codes let you in on the day you lack it yourself.",
        "Wer den ersten Schritt überwindet, etwa ein Passwort, dem fehlt noch der zweite. Ersatzcodes helfen Ihnen an dem Tag, an dem er Ihnen selbst fehlt.",
    ),
    ("guard_title", "Ways in and second steps", "Anmeldewege und zweite Schritte"),
    (
        "guard_text",
        "What is set up for your account, as far as this page can tell.",
        "Was für Ihr Konto eingerichtet ist, soweit diese Seite es weiß.",
    ),
    ("state_on", "On", "An"),
    ("state_off", "Off", "Aus"),
    ("state_none", "None", "Keine"),
    ("profile", "Profile", "Profil"),
    (
        "profile_intro",
        "What we know about you, and the address that you sign in with.",
        "Ihre Angaben und die Adresse, mit der Sie sich anmelden.",
    ),
    ("password_row", "New password", "Neues Passwort"),
    ("password_row_more", "Choose", "Wählen"),
    ("totp", "Authenticator app", "Authenticator-App"),
    (
        "totp_intro",
        "A 6-digit code as the second step when you sign in.",
        "Ein 6-stelliger Code als zweiter Schritt beim Anmelden.",
    ),
    ("totp_open", "Open an authenticator app", "Öffnen Sie eine Authenticator-App"),
    (
        "totp_open_text",
        "Any app that makes 6-digit codes will do. Most password managers can, too.",
        "Jede App, die 6-stellige Codes erzeugt, ist recht. Die meisten Passwortmanager können es auch.",
    ),
    ("totp_scan", "Scan this picture, or type the key", "Scannen Sie das Bild, oder tippen Sie den Schlüssel ab"),
    ("totp_key", "The key, if you can’t scan", "Der Schlüssel, falls das Scannen nicht geht"),
    ("totp_key_copy", "Copy the key", "Schlüssel kopieren"),
    ("totp_key_copied", "Key copied.", "Schlüssel kopiert."),
    ("totp_enter", "Enter the code that the app shows", "Geben Sie den Code ein, den die App zeigt"),
    ("totp_code", "6-digit code", "6-stelliger Code"),
    ("totp_app_code", "Code from the app", "Code aus der App"),
    ("totp_meta", "Asked for when you sign in", "Wird bei der Anmeldung verlangt"),
    (
        "totp_gone",
        "After this one step, such as a password, is enough to sign in.",
        "Danach reicht ein einziger Schritt, etwa ein Passwort, zum Anmelden.",
    ),
    (
        "totp_gone_codes",
        "After this no code from the app is asked for any more. Backup codes that came with the app stop working too; ones that you made yourself later stay.",
        "Danach wird kein Code aus der App mehr verlangt. Auch Ersatzcodes, die es mit der App gab, gelten dann nicht mehr; solche, die Sie später selbst erzeugt haben, bleiben.",
    ),
    (
        "totp_gone_key",
        "After this your security key is the second step that is left.",
        "Danach bleibt Ihnen als zweiter Schritt Ihr Sicherheitsschlüssel.",
    ),
    (
        "totp_done_codes",
        "Two-step sign-in is on. From now on you enter a code from your app when you sign in. One thing is left: save the backup codes below.",
        "Die Anmeldung in zwei Schritten ist an. Ab jetzt geben Sie beim Anmelden einen Code aus Ihrer App ein. Eins fehlt noch: Sichern Sie die Ersatzcodes weiter unten.",
    ),
    (
        "totp_done",
        "Two-step sign-in is on. From now on you enter a code from your app when you sign in.",
        "Die Anmeldung in zwei Schritten ist an. Ab jetzt geben Sie beim Anmelden einen Code aus Ihrer App ein.",
    ),
    (
        "totp_done_gone",
        "The authenticator app is removed. Its codes are no longer asked for; you can delete the entry in the app.",
        "Die Authenticator-App ist entfernt. Codes aus der App werden nicht mehr verlangt; den Eintrag in der App können Sie löschen.",
    ),
    ("lookup_secret", "Backup codes", "Ersatzcodes"),
    (
        "lookup_secret_intro",
        "For the day your phone is lost. Each code works once.",
        "Für den Tag, an dem Ihr Telefon fehlt. Jeder Code gilt einmal.",
    ),
    ("backup_code", "Backup code", "Ersatzcode"),
    ("codes_state_left", "{left} of {all} left", "{left} von {all} übrig"),
    ("codes_state_few", "{left} left", "{left} übrig"),
    ("codes_state_none", "None left", "Keiner übrig"),
    ("codes_state_once", "Shown once", "Nur jetzt zu sehen"),
    ("codes_state_new", "Not in use yet", "Gelten noch nicht"),
    ("codes_save_title", "Save your backup codes", "Sichern Sie Ihre Ersatzcodes"),
    (
        "codes_save_intro",
        "If you lose your phone, one of these gets you in. Each works once. Keep them where you keep passwords, not on the phone itself.",
        "Wenn Ihr Telefon weg ist, kommen Sie mit einem dieser Codes ins Konto. Jeder gilt einmal. Bewahren Sie sie dort auf, wo Sie Passwörter aufbewahren, nicht auf dem Telefon selbst.",
    ),
    ("codes_new_title", "Save your new backup codes", "Sichern Sie Ihre neuen Ersatzcodes"),
    (
        "codes_new_intro",
        "These codes work only once you confirm below that you have saved them. Until then nothing changes, and any codes that you had keep working.",
        "Diese Codes gelten erst, wenn Sie unten bestätigen, dass Sie sie gesichert haben. Bis dahin ändert sich nichts, und Codes von früher gelten weiter.",
    ),
    ("codes_new_after", "Any codes that you had before stop working then.", "Codes von früher gelten ab dann nicht mehr."),
    ("codes_file", "{brand}: backup codes for {who}", "{brand}: Ersatzcodes für {who}"),
    ("codes_file_nobody", "{brand}: backup codes", "{brand}: Ersatzcodes"),
    ("codes_file_rule", "Each code works once.", "Jeder Code gilt einmal."),
    ("codes_file_name", "backup-codes", "ersatzcodes"),
    ("codes_download", "Download", "Herunterladen"),
    ("codes_print", "Print", "Drucken"),
    ("codes_copied", "All {count} codes copied.", "Alle {count} Codes kopiert."),
    ("codes_copied_one", "The code is copied.", "Der Code ist kopiert."),
    (
        "codes_copy_failed",
        "Copying failed. Select the codes and copy them by hand.",
        "Das Kopieren ging nicht. Markieren Sie die Codes und kopieren Sie sie von Hand.",
    ),
    (
        "codes_no_script",
        "Copying by a button needs JavaScript. The download works without it, and so does your browser’s own printing.",
        "Das Kopieren per Knopf braucht JavaScript. Das Herunterladen geht ohne, und das Drucken über Ihren Browser auch.",
    ),
    ("codes_hide", "Hide the codes", "Codes verbergen"),
    ("codes_show_row", "Show or renew the codes", "Codes zeigen oder erneuern"),
    ("codes_show_row_meta", "You may be asked to confirm that it’s you", "Vielleicht müssen Sie bestätigen, dass Sie es sind"),
    ("codes_show_row_more", "Show", "Zeigen"),
    (
        "codes_show_text",
        "Make sure that nobody looks over your shoulder. Beside the codes you can also make new ones.",
        "Achten Sie darauf, dass Ihnen niemand über die Schulter sieht. Neben den Codes können Sie auch neue erzeugen.",
    ),
    ("codes_make_row", "Make new codes", "Neue Codes erzeugen"),
    ("codes_make_row_meta", "Replaces the ones you have", "Ersetzt die bisherigen Codes"),
    ("codes_make_row_more", "Renew", "Erneuern"),
    (
        "codes_make_text",
        "You get a new set. The codes that you have keep working until you say that you have saved the new ones.",
        "Sie bekommen einen neuen Satz. Die bisherigen Codes gelten weiter, bis Sie sagen, dass Sie die neuen gesichert haben.",
    ),
    ("codes_off_row", "Turn backup codes off", "Ersatzcodes abschalten"),
    ("codes_off_row_more", "Turn off", "Abschalten"),
    (
        "codes_off_text",
        "All codes stop working at once. Without your phone you would then need help to get back into your account.",
        "Alle Codes gelten sofort nicht mehr. Ohne Ihr Telefon bräuchten Sie dann Hilfe, um wieder in Ihr Konto zu kommen.",
    ),
    (
        "codes_off_text_alone",
        "All codes stop working at once, and one step, such as a password, is enough to sign in.",
        "Alle Codes gelten sofort nicht mehr, und ein einziger Schritt, etwa ein Passwort, reicht zum Anmelden.",
    ),
    ("codes_make_first", "Make backup codes", "Ersatzcodes erzeugen"),
    ("codes_none", "No backup codes yet", "Noch keine Ersatzcodes"),
    (
        "codes_none_text",
        "Make a set and keep it where you find it without your phone.",
        "Erzeugen Sie einen Satz und bewahren Sie ihn so auf, dass Sie ihn ohne Ihr Telefon finden.",
    ),
    (
        "codes_none_app",
        "Set up the authenticator app first: backup codes are for the day you can’t use it.",
        "Richten Sie zuerst die Authenticator-App ein: Ersatzcodes sind für den Tag, an dem Sie die App nicht benutzen können.",
    ),
    (
        "codes_done",
        "Your new backup codes work from now on. All codes from before are worthless: throw them away.",
        "Ihre neuen Ersatzcodes gelten ab jetzt. Alle früheren Codes sind wertlos: Werfen Sie sie weg.",
    ),
    (
        "codes_done_off",
        "Backup codes are off. None of the codes that you had works any more.",
        "Die Ersatzcodes sind abgeschaltet. Keiner der bisherigen Codes gilt noch.",
    ),
    ("saml", "Organisation sign-in", "Anmeldung über die Organisation"),
    ("code", "One-time code", "Einmalcode"),
    ("link", "Email link", "Link per E-Mail"),
    ("default", "More details", "Weitere Angaben"),
    // devices
    ("sessions_title", "Devices", "Geräte"),
    (
        "sessions_intro",
        "Where your account is signed in. Sign out what you don’t recognise, then change your ways to sign in.",
        "Wo Ihr Konto angemeldet ist. Melden Sie ab, was Sie nicht kennen, und ändern Sie dann, womit Sie sich anmelden.",
    ),
    ("this_device", "This device", "Dieses Gerät"),
    ("other_devices", "Other devices", "Andere Geräte"),
    ("no_other_devices", "Your account is signed in on this device only.", "Ihr Konto ist nur auf diesem Gerät angemeldet."),
    ("details", "Details", "Details"),
    ("manage", "Manage", "Verwalten"),
    ("device_on", "{browser} on {system}", "{browser} unter {system}"),
    ("device_unknown", "Unknown device", "Unbekanntes Gerät"),
    ("signed_in_at", "Signed in", "Angemeldet"),
    ("signed_in_with", "With", "Womit"),
    ("address", "Address", "Adresse"),
    ("place", "Place", "Ort"),
    ("ends", "Ends", "Endet"),
    ("end_consequence", "It needs a new sign-in from then on.", "Danach ist dort eine neue Anmeldung nötig."),
    ("end_session", "Sign out this device", "Dieses Gerät abmelden"),
    (
        "end_others_consequence",
        "Every device above needs a new sign-in from then on. This one stays signed in.",
        "Danach ist auf jedem Gerät oben eine neue Anmeldung nötig. Dieses hier bleibt angemeldet.",
    ),
    ("end_others", "Sign out everywhere else", "Überall sonst abmelden"),
    (
        "ended_one",
        "Signed out: {device}. It needs a new sign-in from now on.",
        "Abgemeldet: {device}. Dort ist ab jetzt eine neue Anmeldung nötig.",
    ),
    (
        "ended_others",
        "Signed out everywhere else. Only this device is still signed in.",
        "Überall sonst abgemeldet. Nur dieses Gerät ist noch angemeldet.",
    ),
    ("ended_gone", "That device was already signed out.", "Dieses Gerät war schon abgemeldet."),
    ("method_password", "password", "Passwort"),
    ("method_oidc", "{provider} account", "Konto bei {provider}"),
    ("method_oidc_plain", "connected account", "verbundenes Konto"),
    ("method_totp", "authenticator app", "Authenticator-App"),
    ("method_lookup_secret", "backup code", "Ersatzcode"),
    ("method_webauthn", "security key", "Sicherheitsschlüssel"),
    ("method_passkey", "passkey", "Passkey"),
    ("method_code", "one-time code", "Einmalcode"),
    ("method_recovery", "recovery", "Wiederherstellung"),
    // home
    ("home_in_title", "You are signed in", "Sie sind angemeldet"),
    ("home_in_link", "Go to your account", "Zu Ihrem Konto"),
    ("home_out_title", "Welcome to {brand}", "Willkommen bei {brand}"),
    ("home_out_text", "Sign in to look after your account.", "Melden Sie sich an, um Ihr Konto zu verwalten."),
    ("signed_out_title", "You are signed out", "Sie sind abgemeldet"),
    (
        "signed_out_text",
        "This device needs a new sign-in from now on.",
        "Auf diesem Gerät ist ab jetzt eine neue Anmeldung nötig.",
    ),
    // errors
    ("error_stale", "This page is too old", "Diese Seite ist zu alt"),
    (
        "error_stale_text",
        "It was opened a while ago or in another browser, so we can’t be sure the request still comes from you. Nothing was changed.",
        "Die Seite wurde vor einer Weile oder in einem anderen Browser geöffnet; wir wissen nicht sicher, dass die Anfrage noch von Ihnen kommt. Nichts wurde geändert.",
    ),
    ("error_session", "You need to sign in first", "Melden Sie sich zuerst an"),
    (
        "error_session_text",
        "Your session has ended or was never started here. Nothing was changed.",
        "Ihre Sitzung ist zu Ende oder hat hier nie begonnen. Nichts wurde geändert.",
    ),
    ("error_denied", "You can’t do that here", "Das geht hier nicht"),
    (
        "error_denied_text",
        "This request is not allowed for your account. Nothing was changed.",
        "Diese Anfrage ist für Ihr Konto nicht erlaubt. Nichts wurde geändert.",
    ),
    ("error_missing", "We can’t find that", "Das finden wir nicht"),
    (
        "error_missing_text",
        "The link may be incomplete, or what it led to is gone. Nothing was changed.",
        "Vielleicht ist der Link unvollständig, oder sein Ziel gibt es nicht mehr. Nichts wurde geändert.",
    ),
    ("error_busy", "Too many tries", "Zu viele Versuche"),
    (
        "error_busy_text",
        "Wait a few minutes, then try again. Nothing was changed.",
        "Warten Sie ein paar Minuten und versuchen Sie es dann noch einmal. Nichts wurde geändert.",
    ),
    ("error_server", "Something broke on our side", "Bei uns ist etwas kaputtgegangen"),
    (
        "error_server_text",
        "It is not your fault. Try again in a moment; if it keeps happening, pass on the details below.",
        "Sie haben nichts falsch gemacht. Versuchen Sie es gleich noch einmal; wenn es wieder passiert, geben Sie die Angaben unten weiter.",
    ),
    ("error_other", "That did not work", "Das hat nicht geklappt"),
    (
        "error_other_text",
        "We could not finish the request. Nothing was changed.",
        "Wir konnten die Anfrage nicht abschließen. Nichts wurde geändert.",
    ),
    ("error_account", "Go to your account", "Zu Ihrem Konto"),
    ("error_sign_in", "Go to sign in", "Zur Anmeldung"),
    ("support", "Details for support", "Angaben für den Support"),
    ("support_reference", "Reference", "Kennung"),
    ("support_code", "Code", "Code"),
    ("support_reason", "Reason", "Grund"),
    ("support_time", "Time", "Zeit"),
    ("not_found_title", "This page does not exist", "Diese Seite gibt es nicht"),
    ("not_found_text", "Check the address, or start from the beginning.", "Prüfen Sie die Adresse, oder fangen Sie von vorn an."),
    ("not_found_link", "Go to the start page", "Zur Startseite"),
];

fn entries() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    TABLE.iter().chain(keys::TABLE).chain(mail::TABLE).chain(social::TABLE)
}

/// The sentence in the given language; `None` for a key that is not in the table.
pub(crate) fn text(lang: Lang, key: &str) -> Option<&'static str> {
    entries().find(|(known, _, _)| *known == key).map(|&(_, en, de)| match lang {
        Lang::En => en,
        Lang::De => de,
    })
}

/// The sentence with its named values put in. Values are taken literally: braces inside them mean nothing.
///
/// An unknown key yields the key itself, which the tests of this crate rule out for the keys it uses.
pub(crate) fn fill(lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
    let mut rest = text(lang, key).unwrap_or(key);
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |&(_, value)| value));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(sentence: &str) -> BTreeSet<&str> {
        sentence.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn each_key_stands_once_and_speaks_both_languages_with_the_same_values() {
        let mut seen = BTreeSet::new();
        for (key, en, de) in entries() {
            assert!(seen.insert(key), "{key} twice");
            assert!(!en.is_empty() && !de.is_empty(), "{key}");
            assert_eq!(names(en), names(de), "{key}");
            let words = || de.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase);
            let familiar = |word: &str| matches!(word, "du" | "dir" | "dich") || word.starts_with("dein");
            assert!(!words().any(|word| familiar(&word)), "{key}: German says Sie");
            assert!(
                !en.contains('!') && !en.to_lowercase().contains("please") && !en.to_lowercase().contains("invalid"),
                "{key}"
            );
        }
        for lang in [Lang::En, Lang::De] {
            assert_eq!(text(lang, "months").map(|months| months.split(' ').count()), Some(12));
        }
    }

    #[test]
    fn values_are_literal() {
        assert_eq!(fill(Lang::En, "signed_in_as", &[("who", "{brand} {who}")]), "Signed in as {brand} {who}");
        assert_eq!(fill(Lang::De, "passkey_remove", &[("name", "Büro")]), "Passkey „Büro“ entfernen");
    }
}
