-- Keys of authenticators by their id, so that no two accounts hold the same one, and a key finds its account.
-- The id stands as in the config of the credential: standard base64.
CREATE TABLE credential_keys (
    key_id TEXT NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    credential_id BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    CONSTRAINT credential_keys_key_id PRIMARY KEY (key_id)
) WITHOUT ROWID;
CREATE INDEX credential_keys_identity ON credential_keys (identity_id);
CREATE INDEX credential_keys_credential ON credential_keys (credential_id);
INSERT OR IGNORE INTO credential_keys (key_id, identity_id, credential_id)
    SELECT CASE k.type WHEN 'object' THEN json_extract(k.value, '$.id') END, c.identity_id, c.id
    FROM credentials c JOIN json_each(c.config, '$.credentials') k
    WHERE c.type IN ('webauthn', 'passkey') AND CASE k.type WHEN 'object' THEN json_extract(k.value, '$.id') END IS NOT NULL;
