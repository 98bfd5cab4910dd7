//! The configuration that `quickstart` writes on its first run: safe defaults, built-in pages, one schema with e-mail and name.
//! The binary fills in addresses, folder and secrets, writes the text to a file and loads it like any other.
//! Makes no secrets and no files itself.

use std::fmt::Write as _;

use keyward_model::Secret;
use serde_json::Value;

/// The id of the schema that the quickstart uses.
pub const DEFAULT_SCHEMA_ID: &str = "default";

/// An identity schema: e-mail address as identifier, and a first and last name. Write it to a file, or use it as `base64://`.
pub const DEFAULT_SCHEMA: &str = r#"{
  "$id": "https://keyward.invalid/schemas/default.json",
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "Person",
  "type": "object",
  "properties": {
    "traits": {
      "type": "object",
      "properties": {
        "email": {
          "type": "string",
          "format": "email",
          "title": "Email address",
          "minLength": 3,
          "maxLength": 320,
          "ory.sh/kratos": {
            "credentials": {
              "password": { "identifier": true },
              "webauthn": { "identifier": true },
              "passkey": { "display_name": true },
              "totp": { "account_name": true },
              "code": { "identifier": true, "via": "email" }
            },
            "verification": { "via": "email" },
            "recovery": { "via": "email" }
          }
        },
        "name": {
          "type": "object",
          "properties": {
            "first": { "type": "string", "title": "First name", "maxLength": 256 },
            "last": { "type": "string", "title": "Last name", "maxLength": 256 }
          },
          "additionalProperties": false
        }
      },
      "required": ["email"],
      "additionalProperties": false
    }
  }
}
"#;

/// What differs between two quickstarts.
#[derive(Debug, Clone)]
pub struct Quickstart {
    /// The URL that people open, for example `http://localhost:4433/`.
    pub public_base_url: String,
    /// The address and port to bind for people.
    pub public_listen: (String, u16),
    /// The URL of the administration port.
    pub admin_base_url: String,
    /// The address and port to bind for administration.
    pub admin_listen: (String, u16),
    /// The folder for the database.
    pub data_dir: String,
    /// Where the identity schema is: `file://…` or `base64://…`.
    pub schema_url: String,
    /// A random secret of at least 16 characters.
    pub secret: Secret<String>,
}

impl Quickstart {
    /// The configuration as YAML. It holds the secret, so the file belongs to its owner alone (mode 0600).
    pub fn text(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let dsn = format!("sqlite://{}/keyward.sqlite?_fk=true", self.data_dir.trim_end_matches('/'));
        // Over plain http browsers would drop a Secure cookie.
        let secure = self.public_base_url.starts_with("https://");
        let landing = format!("{}/ui/settings", self.public_base_url.trim_end_matches('/'));
        let mut text = String::from("# Written by the quickstart; change it as you like, it is read again at every start.\n");
        let values: &[(&str, String)] = &[
            ("dsn: ", quoted(&dsn)),
            ("secrets:\n  default:\n    - ", quoted(self.secret.reveal())),
            ("ciphers:\n  algorithm: ", "xchacha20-poly1305".to_owned()),
            ("serve:\n  public:\n    base_url: ", quoted(&self.public_base_url)),
            ("    host: ", quoted(&self.public_listen.0)),
            ("    port: ", self.public_listen.1.to_string()),
            ("  admin:\n    base_url: ", quoted(&self.admin_base_url)),
            ("    host: ", quoted(&self.admin_listen.0)),
            ("    port: ", self.admin_listen.1.to_string()),
            ("cookies:\n  secure: ", secure.to_string()),
            ("identity:\n  default_schema_id: ", quoted(DEFAULT_SCHEMA_ID)),
            ("  schemas:\n    - id: ", quoted(DEFAULT_SCHEMA_ID)),
            ("      url: ", quoted(&self.schema_url)),
            ("selfservice:\n  default_browser_return_url: ", quoted(&landing)),
            ("  allowed_return_urls:\n    - ", quoted(&self.public_base_url)),
        ];
        for (before, value) in values {
            let _ = writeln!(text, "{before}{value}");
        }
        text.push_str(REST);
        text
    }
}

const REST: &str = "  flows:
    recovery:
      enabled: true
      after:
        hooks:
          # Whoever had the account before is signed out.
          - hook: revoke_active_sessions
    verification:
      enabled: true
    registration:
      style: unified
      after:
        password:
          hooks:
            - hook: session
        passkey:
          hooks:
            - hook: session
        webauthn:
          hooks:
            - hook: session
        code:
          hooks:
            - hook: session
    settings:
      required_aal: highest_available
      privileged_session_max_age: 15m
      # After a pause, a change that needs the second factor asks for the second factor again.
      reauthentication: same_aal
      after:
        password:
          hooks:
            # A new password ends all other sessions.
            - hook: revoke_active_sessions
  methods:
    profile:
      enabled: true
    password:
      enabled: true
      config:
        haveibeenpwned_enabled: true
        # Without a connection passwords are accepted unchecked.
        ignore_network_errors: true
    totp:
      enabled: true
    lookup_secret:
      enabled: true
    # Keys belong to the name in serve.public.base_url; set config.rp.id when the name changes.
    passkey:
      enabled: true
    webauthn:
      enabled: true
    code:
      config:
        lifespan: 15m
    link:
      config:
        lifespan: 15m
feature_flags:
  # Apps get their session when a recovery ends, and scripts are told where to go on.
  use_continue_with_transitions: true
ui:
  # Mail is read at /ui/mailbox, which exists only while the server is called localhost. For real mail: courier.smtp.connection_uri.
  mailbox: true
security:
  account_enumeration:
    # Signing in does not tell whether an account exists. Signing up has to: two accounts cannot have one address.
    mitigate: true
";
