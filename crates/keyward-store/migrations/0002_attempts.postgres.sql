-- Attempts to prove something, counted before each check and forgotten after a success.
-- The subject is a keyed hash of an identity or a typed identifier together with the authenticator.
CREATE TABLE attempts (
    subject BYTEA NOT NULL,
    lane BYTEA NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (subject, lane)
);
CREATE INDEX attempts_updated_at ON attempts (updated_at);
