//! The verbs: hashing, sealing, schema validation, deriving identities, sessions, continuity and audit.
