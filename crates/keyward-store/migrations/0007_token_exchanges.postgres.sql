-- What a browser did for an app at a provider, until the app fetches it with the two halves of a secret.
CREATE TABLE session_token_exchanges (
    -- SHA-256 of what the app got when it began the flow, and of what the browser brought back to it.
    init_code_hash BYTEA NOT NULL,
    return_to_code_hash BYTEA NOT NULL,
    -- The flow that the app began; it holds what came of it, sealed.
    flow_kind TEXT NOT NULL,
    flow_id UUID NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT session_token_exchanges_codes PRIMARY KEY (init_code_hash, return_to_code_hash)
);
CREATE INDEX session_token_exchanges_expires_at ON session_token_exchanges (expires_at);
