-- Times are microseconds since the Unix epoch in UTC; JSON is text, never queried into.
-- Only tables with short rows go WITHOUT ROWID: with rows of a kilobyte it doubled the file and slowed lookups by a third.

CREATE TABLE identities (
    id BLOB NOT NULL PRIMARY KEY,
    schema_id TEXT NOT NULL,
    state TEXT NOT NULL,
    state_changed_at BIGINT NOT NULL,
    traits TEXT NOT NULL,
    metadata_public TEXT,
    metadata_admin TEXT,
    external_id TEXT,
    organization_id TEXT,
    -- The public identity as the wire shows it, rendered by the writer, and the version of that layout.
    wire_json TEXT NOT NULL,
    wire_version BIGINT NOT NULL,
    -- Counts of what the credentials can prove.
    factors TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT identities_external_id UNIQUE (external_id)
);
CREATE INDEX identities_created_at ON identities (created_at, id);

CREATE TABLE credentials (
    id BLOB NOT NULL PRIMARY KEY,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    config TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT credentials_identity_type UNIQUE (identity_id, type)
);

CREATE TABLE credential_identifiers (
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    credential_id BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    CONSTRAINT credential_identifiers_type_value PRIMARY KEY (type, value)
) WITHOUT ROWID;
CREATE INDEX credential_identifiers_value ON credential_identifiers (value);
CREATE INDEX credential_identifiers_identity ON credential_identifiers (identity_id);
CREATE INDEX credential_identifiers_credential ON credential_identifiers (credential_id);

CREATE TABLE verifiable_addresses (
    id BLOB NOT NULL PRIMARY KEY,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    via TEXT NOT NULL,
    value TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    verified_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT verifiable_addresses_via_value UNIQUE (via, value)
) WITHOUT ROWID;
CREATE INDEX verifiable_addresses_identity ON verifiable_addresses (identity_id);

CREATE TABLE recovery_addresses (
    id BLOB NOT NULL PRIMARY KEY,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    via TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT recovery_addresses_via_value UNIQUE (via, value)
) WITHOUT ROWID;
CREATE INDEX recovery_addresses_identity ON recovery_addresses (identity_id);

CREATE TABLE sessions (
    -- The hash leads: it is what every request looks up.
    token_hash BLOB NOT NULL,
    id BLOB NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    active BOOLEAN NOT NULL,
    aal TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    amr TEXT NOT NULL,
    devices TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT sessions_token_hash PRIMARY KEY (token_hash),
    CONSTRAINT sessions_id UNIQUE (id)
);
CREATE INDEX sessions_identity ON sessions (identity_id, created_at, id);
CREATE INDEX sessions_created_at ON sessions (created_at, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE flows (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    flow_type TEXT NOT NULL,
    state TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    request_url TEXT NOT NULL,
    identity_id BLOB REFERENCES identities (id) ON DELETE CASCADE,
    session_id BLOB,
    form TEXT NOT NULL,
    -- Sealed.
    memory BLOB,
    extra TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX flows_identity ON flows (identity_id) WHERE identity_id IS NOT NULL;
CREATE INDEX flows_expires_at ON flows (expires_at);

CREATE TABLE continuity_containers (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    identity_id BLOB REFERENCES identities (id) ON DELETE CASCADE,
    flow_id BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    -- Sealed.
    payload BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX continuity_containers_identity ON continuity_containers (identity_id) WHERE identity_id IS NOT NULL;
CREATE INDEX continuity_containers_expires_at ON continuity_containers (expires_at);

CREATE TABLE grants (
    id BLOB NOT NULL PRIMARY KEY,
    settings_flow_id BLOB NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    session_id BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX grants_flow ON grants (settings_flow_id);
CREATE INDEX grants_identity ON grants (identity_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE self_service_errors (
    id BLOB NOT NULL PRIMARY KEY,
    error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX self_service_errors_created_at ON self_service_errors (created_at);

-- No reference to identities: what happened outlives the account.
CREATE TABLE audit_events (
    id BLOB NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    result TEXT NOT NULL,
    identity_id BLOB,
    session_id_hash BLOB,
    flow_id BLOB,
    method TEXT,
    client_ip TEXT,
    user_agent TEXT,
    request_id TEXT,
    reason TEXT,
    details TEXT NOT NULL
);
CREATE INDEX audit_events_identity ON audit_events (identity_id, at, id);
CREATE INDEX audit_events_at ON audit_events (at, id);

-- Rows are added and, once their time is over, deleted; never changed.
CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
