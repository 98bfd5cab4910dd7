-- Codes sent by mail or text message, as keyed hashes; each belongs to one flow and one purpose and is used at most once.
CREATE TABLE one_time_codes (
    id UUID NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    flow_id UUID NOT NULL,
    identity_id UUID REFERENCES identities (id) ON DELETE CASCADE,
    -- The address that it was sent to, and how. None where an operator handed it over.
    via TEXT,
    address TEXT,
    code_hash BYTEA NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX one_time_codes_flow ON one_time_codes (flow_id);
CREATE INDEX one_time_codes_identity ON one_time_codes (identity_id) WHERE identity_id IS NOT NULL;
CREATE INDEX one_time_codes_expires_at ON one_time_codes (expires_at);

-- How many codes were tried on a flow, right or wrong.
ALTER TABLE flows ADD COLUMN submissions BIGINT NOT NULL DEFAULT 0;
