//! Sentences about signing in with an account that somebody has elsewhere.
//! Part of the table of texts.
//! Knows no provider by name.

/// Key, English, German.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    ("provider_sign_in", "Continue with {provider}", "Weiter mit {provider}"),
    ("provider_sign_in_many", "Continue with", "Weiter mit"),
    ("provider_sign_up", "Sign up with {provider}", "Registrieren mit {provider}"),
    ("provider_sign_up_many", "Sign up with", "Registrieren mit"),
    ("provider_confirm", "Confirm with {provider}", "Bestätigen mit {provider}"),
    ("provider_confirm_many", "Confirm with", "Bestätigen mit"),
    ("provider_link", "Connect {provider}", "{provider} verbinden"),
    ("provider_unlink", "Disconnect {provider}", "{provider} trennen"),
    // an account that has the same address
    ("connect_title", "You already have an account", "Sie haben schon ein Konto"),
    (
        "connect_text",
        "{who} belongs to an account here. Sign in to it the way you usually do, and {provider} is connected: from then on you can sign in with either.",
        "{who} gehört schon zu einem Konto. Melden Sie sich dort wie gewohnt an, dann wird {provider} verbunden: Von da an können Sie sich mit beidem anmelden.",
    ),
    ("sign_in_connect", "Sign in and connect", "Anmelden und verbinden"),
    ("connect_cancel", "Sign in without connecting", "Ohne Verbinden anmelden"),
    // signing up when the provider does not tell enough
    ("complete_title", "Almost done", "Fast fertig"),
    (
        "complete_text",
        "The account that you signed in with did not tell us everything. Check what is here and fill in what is missing.",
        "Das Konto, mit dem Sie sich angemeldet haben, hat uns nicht alles verraten. Prüfen Sie, was hier steht, und ergänzen Sie, was fehlt.",
    ),
    // account centre
    ("oidc", "Connected accounts", "Verbundene Konten"),
    (
        "oidc_intro",
        "Sign in with an account that you already have elsewhere.",
        "Anmelden mit einem Konto, das Sie anderswo schon haben.",
    ),
    ("oidc_count_one", "1 connected", "1 verbunden"),
    ("oidc_count", "{count} connected", "{count} verbunden"),
    ("connected", "Connected", "Verbunden"),
    ("not_connected", "Not connected", "Nicht verbunden"),
    ("connect", "Connect", "Verbinden"),
    (
        "provider_gone",
        "After this you can no longer sign in with {provider}. Your account there stays as it is, and you can connect it again.",
        "Danach können Sie sich nicht mehr mit {provider} anmelden. Ihr Konto dort bleibt, wie es ist, und Sie können es wieder verbinden.",
    ),
    (
        "provider_kept",
        "Your organisation looks after this connection, so it can’t be removed here.",
        "Ihre Organisation verwaltet diese Verbindung, deshalb lässt sie sich hier nicht trennen.",
    ),
    (
        "provider_refused",
        "Your organisation looks after your account, so nothing else can be connected.",
        "Ihre Organisation verwaltet Ihr Konto, deshalb lässt sich nichts anderes verbinden.",
    ),
];
