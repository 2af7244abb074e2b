-- Signing in with what an organisation has: ties of accounts to identity providers, sign-ins under way, groups.
ALTER TABLE users ADD COLUMN provider VARCHAR(64) NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN provider VARCHAR(64) NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN provider_session TEXT;

CREATE TABLE identity_links (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    issuer VARCHAR(512) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    username TEXT NOT NULL,
    email TEXT NOT NULL,
    session TEXT NOT NULL,
    kept ${BYTES} NOT NULL,
    created_at BIGINT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    checked_at BIGINT NOT NULL,
    problem TEXT
);

CREATE UNIQUE INDEX identity_links_provider_issuer_subject ON identity_links (provider, issuer, subject);

CREATE UNIQUE INDEX identity_links_user_id ON identity_links (user_id);

CREATE INDEX identity_links_checked_at ON identity_links (checked_at);

CREATE TABLE sign_ins (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    provider VARCHAR(64) NOT NULL,
    state_hash VARCHAR(64) NOT NULL,
    browser_hash VARCHAR(64) NOT NULL,
    sealed ${BYTES} NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sign_ins_expires_at ON sign_ins (expires_at);

CREATE INDEX sign_ins_address_created_at ON sign_ins (address, created_at);

CREATE TABLE sign_in_attempts (
    id ${SERIAL},
    at BIGINT NOT NULL,
    provider VARCHAR(64) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    user_id VARCHAR(36),
    account VARCHAR(254) NOT NULL,
    address VARCHAR(64) NOT NULL,
    user_agent TEXT NOT NULL,
    detail TEXT NOT NULL,
    steps TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL
);

CREATE INDEX sign_in_attempts_at ON sign_in_attempts (at);

CREATE INDEX sign_in_attempts_user_id ON sign_in_attempts (user_id);

CREATE TABLE user_groups (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    source VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX user_groups_name ON user_groups (name);

CREATE TABLE group_members (
    group_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    source VARCHAR(64) NOT NULL,
    PRIMARY KEY (group_id, user_id, source)
);

CREATE INDEX group_members_user_id ON group_members (user_id);

CREATE TABLE device_logins (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    secret_hash VARCHAR(64) NOT NULL,
    user_code VARCHAR(16) NOT NULL,
    client VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    user_id VARCHAR(36),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    polled_at BIGINT
);

CREATE UNIQUE INDEX device_logins_user_code ON device_logins (user_code);

CREATE INDEX device_logins_expires_at ON device_logins (expires_at);

CREATE TABLE signed_out_messages (
    digest VARCHAR(64) NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX signed_out_messages_expires_at ON signed_out_messages (expires_at);
