-- Keys of authenticators by their id, so that no two accounts hold the same one, and a key finds its account.
-- The id stands as in the config of the credential: standard base64.
CREATE TABLE credential_keys (
    key_id TEXT NOT NULL,
    identity_id UUID NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    credential_id UUID NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    CONSTRAINT credential_keys_key_id PRIMARY KEY (key_id)
);
CREATE INDEX credential_keys_identity ON credential_keys (identity_id);
CREATE INDEX credential_keys_credential ON credential_keys (credential_id);
INSERT INTO credential_keys (key_id, identity_id, credential_id)
    SELECT k.value ->> 'id', c.identity_id, c.id
    FROM credentials c CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(c.config::jsonb -> 'credentials') WHEN 'array' THEN c.config::jsonb -> 'credentials' ELSE '[]' END) k
    WHERE c.type IN ('webauthn', 'passkey') AND k.value ->> 'id' IS NOT NULL
    ON CONFLICT (key_id) DO NOTHING;
