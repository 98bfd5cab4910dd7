-- Traits that wait until their new address is confirmed: at most one change of an account.
CREATE TABLE pending_traits_changes (
    identity_id BLOB NOT NULL PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    -- The session and the settings flow that asked for it.
    session_id BLOB NOT NULL,
    settings_flow_id BLOB NOT NULL,
    -- The flow that takes the code; without it the change is over.
    verification_flow_id BLOB NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
    via TEXT NOT NULL,
    address TEXT NOT NULL,
    -- Of the traits that were there, so that no other change is undone.
    traits_hash TEXT NOT NULL,
    -- Sealed.
    proposed_traits BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pending_traits_changes_flow UNIQUE (verification_flow_id)
);
