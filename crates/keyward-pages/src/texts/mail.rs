//! The sentences around mailed codes and links: recovery, verification, the code step of signing in and up, the mailbox.
//! The table of [`super`] goes on here.
//! Knows no page.

/// Key, English, German.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    // the code step, wherever it stands
    ("code_title", "Enter the code", "Geben Sie den Code ein"),
    (
        "code_if_known",
        "If {address} belongs to an account, a code of 6 digits is on its way.",
        "Falls {address} zu einem Konto gehört, ist ein Code mit 6 Ziffern unterwegs.",
    ),
    ("code_sent", "We sent a code of 6 digits to {address}.", "Wir haben einen Code mit 6 Ziffern an {address} gesendet."),
    (
        "code_sent_somewhere",
        "Enter the code of 6 digits that we sent you.",
        "Geben Sie den Code mit 6 Ziffern ein, den wir Ihnen gesendet haben.",
    ),
    ("code_missing", "Enter all 6 digits of the code.", "Geben Sie alle 6 Ziffern des Codes ein."),
    ("address_missing", "Enter the address first.", "Geben Sie zuerst die Adresse ein."),
    (
        "again_mail",
        "Nothing after a minute? Look into the spam folder first. A new code replaces the old one.",
        "Nach einer Minute noch nichts da? Sehen Sie zuerst im Spam-Ordner nach. Ein neuer Code ersetzt den alten.",
    ),
    (
        "again_phone",
        "Nothing after a minute? Send a new code. It replaces the old one.",
        "Nach einer Minute noch nichts da? Lassen Sie sich einen neuen Code senden. Er ersetzt den alten.",
    ),
    ("resend", "Send a new code", "Neuen Code senden"),
    ("other_address", "Use another address", "Andere Adresse benutzen"),
    ("code_to", "Send a code to {address}", "Code an {address} senden"),
    ("by_mail", "By email", "Per E-Mail"),
    ("by_phone", "By text message", "Per SMS"),
    // the second step by a code
    ("way_code", "Get a code", "Code zusenden lassen"),
    ("way_code_more", "By email or text message", "Per E-Mail oder SMS"),
    ("way_code_sent", "Enter the code that we sent", "Gesendeten Code eingeben"),
    ("way_code_sent_more", "The 6 digits from our message", "Die 6 Ziffern aus unserer Nachricht"),
    ("get_code_title", "Get a code", "Lassen Sie sich einen Code senden"),
    (
        "get_code",
        "We send you a code of 6 digits. Choose where to.",
        "Wir senden Ihnen einen Code mit 6 Ziffern. Wählen Sie, wohin.",
    ),
    ("get_code_one", "We send you a code of 6 digits.", "Wir senden Ihnen einen Code mit 6 Ziffern."),
    ("no_message", "No message?", "Keine Nachricht?"),
    ("step_again", "Start this step again", "Diesen Schritt neu beginnen"),
    // recovery
    ("recovery_title", "Get back into your account", "Zurück in Ihr Konto"),
    (
        "recovery_code_text",
        "Enter the address of your account. We send you a code of 6 digits that lets you back in.",
        "Geben Sie die Adresse Ihres Kontos ein. Wir senden Ihnen einen Code mit 6 Ziffern, mit dem Sie wieder hineinkommen.",
    ),
    (
        "recovery_link_text",
        "Enter the address of your account. We send you a link that lets you back in.",
        "Geben Sie die Adresse Ihres Kontos ein. Wir senden Ihnen einen Link, mit dem Sie wieder hineinkommen.",
    ),
    ("recovery_choose_title", "Where should the code go?", "Wohin soll der Code gehen?"),
    (
        "recovery_choose_text",
        "Choose one of the addresses that belong to the account.",
        "Wählen Sie eine der Adressen, die zu dem Konto gehören.",
    ),
    ("recovery_confirm_title", "Enter the address in full", "Geben Sie die Adresse vollständig ein"),
    (
        "recovery_confirm_text",
        "You saw a part of it only. Whoever may get the code knows the rest.",
        "Sie haben nur einen Teil davon gesehen. Wer den Code bekommen darf, kennt auch den Rest.",
    ),
    ("recovery_done_title", "You are back in", "Sie sind wieder angemeldet"),
    (
        "recovery_done_text",
        "Set a new password or another way to sign in now, so that you need no code next time.",
        "Legen Sie jetzt ein neues Passwort oder einen anderen Anmeldeweg fest, damit Sie beim nächsten Mal keinen Code brauchen.",
    ),
    ("recovery_done_link", "Choose how to sign in", "Anmeldeweg festlegen"),
    ("back_to_sign_in", "Back to sign in", "Zurück zur Anmeldung"),
    ("send_the_code", "Send the code", "Code senden"),
    // links
    ("look_title", "Look into your mail", "Sehen Sie in Ihre E-Mails"),
    (
        "look_text",
        "Nothing after a minute? Look into the spam folder, then send the link again. A new link replaces the old one.",
        "Nach einer Minute noch nichts da? Sehen Sie im Spam-Ordner nach und lassen Sie sich den Link dann noch einmal senden. Ein neuer Link ersetzt den alten.",
    ),
    ("send_link_again", "Send the link again", "Link noch einmal senden"),
    // verification
    ("verification_title", "Confirm your email address", "Bestätigen Sie Ihre E-Mail-Adresse"),
    ("verification_title_any", "Confirm your address", "Bestätigen Sie Ihre Adresse"),
    (
        "verification_code_text",
        "Enter the address. We send a code of 6 digits there, and with it you show that the address is yours.",
        "Geben Sie die Adresse ein. Wir senden einen Code mit 6 Ziffern dorthin; damit zeigen Sie, dass die Adresse Ihnen gehört.",
    ),
    (
        "verification_link_text",
        "Enter the address. We send a link there, and by opening it you show that the address is yours.",
        "Geben Sie die Adresse ein. Wir senden einen Link dorthin; wenn Sie ihn öffnen, zeigen Sie, dass die Adresse Ihnen gehört.",
    ),
    ("confirm_address", "Confirm address", "Adresse bestätigen"),
    ("verification_done_title", "You’re all set", "Alles erledigt"),
    (
        "verification_done_text",
        "Messages about your account reach you there from now on.",
        "Nachrichten zu Ihrem Konto erreichen Sie von jetzt an dort.",
    ),
    ("later", "Do this later", "Das später erledigen"),
    (
        "unverified",
        "{address} is not confirmed yet. Without that we can’t be sure that messages about your account reach you.",
        "{address} ist noch nicht bestätigt. Solange ist nicht sicher, dass Nachrichten zu Ihrem Konto Sie erreichen.",
    ),
    ("verify_now", "Confirm it now", "Jetzt bestätigen"),
    // names of fields that many schemas have, for schemas that are written in English
    ("title_email", "Email address", "E-Mail-Adresse"),
    ("title_name", "Name", "Name"),
    ("title_first_name", "First name", "Vorname"),
    ("title_last_name", "Last name", "Nachname"),
    ("title_username", "User name", "Benutzername"),
    ("title_phone", "Phone number", "Telefonnummer"),
    ("title_website", "Website", "Website"),
    // the mailbox of the development mode
    ("mailbox_title", "Developer mailbox", "Entwickler-Postfach"),
    (
        "mailbox_text",
        "Mail and text messages stay here instead of being sent. Only in development mode.",
        "E-Mails und SMS bleiben hier, statt versendet zu werden. Nur im Entwicklungsmodus.",
    ),
    ("mailbox_list", "Messages", "Nachrichten"),
    ("mailbox_none", "No messages yet", "Noch keine Nachrichten"),
    (
        "mailbox_none_text",
        "Sign up, or ask for a code or a link: the message appears here. Load the page again to see it.",
        "Registrieren Sie sich, oder fordern Sie einen Code oder Link an: Die Nachricht erscheint hier. Laden Sie die Seite dann neu.",
    ),
    ("mailbox_more", "Older messages are not listed.", "Ältere Nachrichten stehen nicht in der Liste."),
    ("mailbox_reload", "Look for new messages", "Nach neuen Nachrichten sehen"),
    ("mail_no_subject", "Message without a subject", "Nachricht ohne Betreff"),
    ("mail_to", "to {recipient}", "an {recipient}"),
    ("mail_text_to", "text to {recipient}", "SMS an {recipient}"),
    ("mail_recipient", "To", "An"),
    ("mail_template", "Template", "Vorlage"),
    ("mail_time", "Time", "Zeit"),
    ("mail_code", "Code in this message", "Code in dieser Nachricht"),
    ("mail_code_copy", "Copy the code", "Code kopieren"),
    ("mail_code_copied", "Code copied.", "Code kopiert."),
    ("mail_link", "Link in this message", "Link in dieser Nachricht"),
    ("mail_link_open", "Open the link", "Link öffnen"),
    ("mail_link_copy", "Copy the link", "Link kopieren"),
    ("mail_link_copied", "Link copied.", "Link kopiert."),
    ("mail_body", "Text of the message", "Text der Nachricht"),
    ("mail_html", "The same as HTML", "Dasselbe als HTML"),
    ("mail_html_frame", "HTML of the message", "HTML der Nachricht"),
];
