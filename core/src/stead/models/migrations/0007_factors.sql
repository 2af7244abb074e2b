-- Further proof for accounts with a password of Stead's own: one-time codes, passkeys, recovery codes.
CREATE TABLE factors (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    name VARCHAR(64) NOT NULL,
    secret ${BYTES} NOT NULL,
    credential VARCHAR(1400),
    counter BIGINT NOT NULL,
    verifies_user BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);

CREATE INDEX factors_user_id ON factors (user_id);

CREATE UNIQUE INDEX factors_credential ON factors (credential);

CREATE TABLE recovery_codes (
    user_id VARCHAR(36) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    PRIMARY KEY (user_id, digest)
);

CREATE TABLE factor_steps (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    purpose VARCHAR(16) NOT NULL,
    secret_hash VARCHAR(64) NOT NULL,
    user_id VARCHAR(36),
    sealed ${BYTES} NOT NULL,
    tries BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX factor_steps_expires_at ON factor_steps (expires_at);
