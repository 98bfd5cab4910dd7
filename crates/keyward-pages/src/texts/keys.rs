//! The sentences about passkeys and security keys.
//! A part of the table of texts, under the same rules.
//! It knows no page: the same words stand wherever a key is asked for.

/// Key, English, German.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    // signing in and up
    ("passkey_sign_in", "Sign in with a passkey", "Mit einem Passkey anmelden"),
    ("passkey_confirm", "Confirm with a passkey", "Mit einem Passkey bestätigen"),
    ("passkey_sign_up", "Sign up with a passkey", "Mit einem Passkey registrieren"),
    ("key_sign_in", "Sign in with a security key", "Mit einem Sicherheitsschlüssel anmelden"),
    ("key_confirm", "Confirm with a security key", "Mit einem Sicherheitsschlüssel bestätigen"),
    ("key_use", "Use your security key", "Sicherheitsschlüssel benutzen"),
    ("key_sign_up", "Sign up with a security key", "Mit einem Sicherheitsschlüssel registrieren"),
    ("key_sign_up_more", "Instead of a password", "Statt eines Passworts"),
    (
        "key_ready",
        "Have your security key at hand. Plug it in, or hold it to your device, when your browser asks for it.",
        "Halten Sie Ihren Sicherheitsschlüssel bereit. Stecken Sie ihn an, oder halten Sie ihn an Ihr Gerät, wenn Ihr Browser danach fragt.",
    ),
    ("use_key_title", "Use your security key", "Benutzen Sie Ihren Sicherheitsschlüssel"),
    ("way_webauthn", "Use your security key", "Sicherheitsschlüssel benutzen"),
    ("way_webauthn_more", "Plug it in or hold it to your device", "Anstecken oder an das Gerät halten"),
    // dialogs of the browser that failed
    (
        "name_missing",
        "Enter a name first, so that you can tell it apart later.",
        "Geben Sie zuerst einen Namen ein, an dem Sie ihn später erkennen.",
    ),
    (
        "fault_use_cancelled",
        "Nothing was confirmed. The request was cancelled, or nothing that fits was found on this device. Try again, or choose another way.",
        "Es wurde nichts bestätigt. Die Anfrage wurde abgebrochen, oder auf diesem Gerät fand sich nichts Passendes. Versuchen Sie es noch einmal, oder wählen Sie einen anderen Weg.",
    ),
    (
        "fault_make_cancelled",
        "Nothing was added. The request was cancelled, or your device could not confirm that it’s you. Try again when you are ready.",
        "Es wurde nichts hinzugefügt. Die Anfrage wurde abgebrochen, oder Ihr Gerät konnte Sie nicht erkennen. Versuchen Sie es noch einmal, wenn Sie so weit sind.",
    ),
    (
        "fault_make_known",
        "This one is already added. Use the one that you have, or choose another device or key.",
        "Das ist schon hinzugefügt. Benutzen Sie das vorhandene, oder nehmen Sie ein anderes Gerät oder einen anderen Schlüssel.",
    ),
    (
        "fault_address",
        "This address is not set up for passkeys and security keys. Nothing is wrong with your device; tell the people who run {brand}.",
        "Diese Adresse ist für Passkeys und Sicherheitsschlüssel nicht eingerichtet. An Ihrem Gerät liegt es nicht; sagen Sie es den Betreibern von {brand}.",
    ),
    (
        "fault_late",
        "That took too long, so the request has ended. Try again, and follow what your browser asks for.",
        "Das hat zu lange gedauert, die Anfrage ist beendet. Versuchen Sie es noch einmal, und folgen Sie Ihrem Browser.",
    ),
    (
        "fault_browser",
        "This browser can’t do that. Passkeys and security keys need a recent browser and an address that begins with https.",
        "Dieser Browser kann das nicht. Passkeys und Sicherheitsschlüssel brauchen einen neueren Browser und eine Adresse, die mit https beginnt.",
    ),
    (
        "fault_lock",
        "This device or key can’t be used for that. It needs a screen lock or a PIN: set one up, or use another one.",
        "Dieses Gerät oder dieser Schlüssel eignet sich dafür nicht. Nötig ist eine Bildschirmsperre oder eine PIN: Richten Sie eine ein, oder nehmen Sie ein anderes Gerät.",
    ),
    (
        "fault_page",
        "This page is not complete. Load it again, then try once more.",
        "Diese Seite ist nicht vollständig. Laden Sie sie neu, und versuchen Sie es dann noch einmal.",
    ),
    (
        "fault_other",
        "That did not work. Try again, or choose another way.",
        "Das hat nicht geklappt. Versuchen Sie es noch einmal, oder wählen Sie einen anderen Weg.",
    ),
    (
        "account_name_missing",
        "Fill this in first: your passkey gets its name from it.",
        "Füllen Sie das zuerst aus: Ihr Passkey bekommt davon seinen Namen.",
    ),
    // the list and its rows
    ("save_name", "Save the name", "Namen speichern"),
    ("unnamed", "unnamed", "ohne Namen"),
    ("added_on", "Added {day}", "Hinzugefügt {day}"),
    ("last_used_on", "Last used {day}", "Zuletzt benutzt {day}"),
    ("never_used", "Never used", "Nie benutzt"),
    ("synced", "Synced", "Synchronisiert"),
    ("cloned", "Perhaps copied", "Vielleicht kopiert"),
    // passkeys
    ("passkey_add", "Add a passkey", "Passkey hinzufügen"),
    ("passkey_remove", "Remove the passkey “{name}”", "Passkey „{name}“ entfernen"),
    ("passkey_remove_unnamed", "Remove this passkey", "Diesen Passkey entfernen"),
    ("passkey_name", "Name", "Name"),
    ("passkey", "Passkeys", "Passkeys"),
    (
        "passkey_intro",
        "Sign in with your fingerprint, face or screen lock.",
        "Anmelden mit Fingerabdruck, Gesicht oder Bildschirmsperre.",
    ),
    ("passkey_unnamed", "Passkey without a name", "Passkey ohne Namen"),
    ("passkey_count_one", "1 passkey", "1 Passkey"),
    ("passkey_count", "{count} passkeys", "{count} Passkeys"),
    ("passkey_none", "No passkey yet", "Noch kein Passkey"),
    (
        "passkey_none_text",
        "With a passkey you sign in without a password. It can’t be guessed, leaked or phished.",
        "Mit einem Passkey melden Sie sich ohne Passwort an. Niemand kann ihn erraten oder Ihnen ablisten.",
    ),
    (
        "passkey_gone",
        "After this you can no longer sign in with it. Delete it on your device or in your password manager as well, or it keeps being offered there.",
        "Danach können Sie sich damit nicht mehr anmelden. Löschen Sie ihn auch auf Ihrem Gerät oder im Passwortmanager, sonst wird er dort weiter angeboten.",
    ),
    (
        "passkey_only",
        "It is your only way in, so it can’t be removed. Set a password or add another passkey first.",
        "Er ist Ihr einziger Weg ins Konto und lässt sich deshalb nicht entfernen. Legen Sie zuerst ein Passwort fest, oder fügen Sie einen weiteren Passkey hinzu.",
    ),
    (
        "passkey_cloned",
        "There may be a copy of this passkey. Its counter went backwards when it was last used. If you can’t explain that, remove it and add a new one.",
        "Von diesem Passkey gibt es vielleicht eine Kopie. Bei der letzten Benutzung lief sein Zähler rückwärts. Wenn Sie sich das nicht erklären können, entfernen Sie ihn und fügen Sie einen neuen hinzu.",
    ),
    // security keys
    ("key_add", "Add a security key", "Sicherheitsschlüssel hinzufügen"),
    ("key_remove", "Remove the security key “{name}”", "Sicherheitsschlüssel „{name}“ entfernen"),
    ("key_remove_unnamed", "Remove this security key", "Diesen Sicherheitsschlüssel entfernen"),
    ("key_name", "Name of the key", "Name des Schlüssels"),
    (
        "key_name_hint",
        "So that you can tell it apart later, for example “Blue key on my keyring”.",
        "Damit Sie ihn später erkennen, zum Beispiel „Blauer Schlüssel am Bund“.",
    ),
    ("webauthn", "Security keys", "Sicherheitsschlüssel"),
    (
        "webauthn_intro",
        "A small key that you plug in or hold to your device when you sign in.",
        "Ein kleiner Schlüssel, den Sie beim Anmelden anstecken oder an Ihr Gerät halten.",
    ),
    ("key_unnamed", "Security key without a name", "Sicherheitsschlüssel ohne Namen"),
    ("key_count_one", "1 key", "1 Schlüssel"),
    ("key_count", "{count} keys", "{count} Schlüssel"),
    ("key_none", "No security key yet", "Noch kein Sicherheitsschlüssel"),
    (
        "key_none_text",
        "Have one of those small USB or NFC keys? No fake page can trick you out of it.",
        "Haben Sie einen dieser kleinen USB- oder NFC-Schlüssel? Keine gefälschte Seite kann ihn Ihnen ablisten.",
    ),
    (
        "key_gone_way_in",
        "After this you can no longer sign in with it. Your other ways in stay as they are.",
        "Danach können Sie sich damit nicht mehr anmelden. Ihre anderen Wege ins Konto bleiben, wie sie sind.",
    ),
    (
        "key_gone_others",
        "After this it no longer counts when you sign in. Your other security keys keep working.",
        "Danach zählt er beim Anmelden nicht mehr. Ihre anderen Sicherheitsschlüssel gelten weiter.",
    ),
    (
        "key_gone_app",
        "After this your authenticator app is the second step that is left.",
        "Danach bleibt Ihnen als zweiter Schritt Ihre Authenticator-App.",
    ),
    (
        "key_gone_codes",
        "After this no key is asked for any more. Backup codes that came with an authenticator app stop working too; ones that you made yourself later stay.",
        "Danach wird kein Schlüssel mehr verlangt. Auch Ersatzcodes, die es mit einer Authenticator-App gab, gelten dann nicht mehr; solche, die Sie später selbst erzeugt haben, bleiben.",
    ),
    (
        "key_gone_last",
        "It is your last second step. After this one step, such as a password, is enough to sign in.",
        "Er ist Ihr letzter zweiter Schritt. Danach reicht ein einziger Schritt, etwa ein Passwort, zum Anmelden.",
    ),
    (
        "key_only",
        "It is your only way in, so it can’t be removed. Set a password or add another key first.",
        "Er ist Ihr einziger Weg ins Konto und lässt sich deshalb nicht entfernen. Legen Sie zuerst ein Passwort fest, oder fügen Sie einen weiteren Schlüssel hinzu.",
    ),
    (
        "key_cloned",
        "There may be a copy of this key. Its counter went backwards when it was last used. If you can’t explain that, remove it and use another key.",
        "Von diesem Schlüssel gibt es vielleicht eine Kopie. Bei der letzten Benutzung lief sein Zähler rückwärts. Wenn Sie sich das nicht erklären können, entfernen Sie ihn und nehmen Sie einen anderen.",
    ),
];
