-- What agents without a token were asked, what must never be accepted twice, and when an agent was last let in.
CREATE TABLE identity_challenges (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    auth VARCHAR(32) NOT NULL,
    challenge VARCHAR(255) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX identity_challenges_address ON identity_challenges (address);

CREATE INDEX identity_challenges_expires_at ON identity_challenges (expires_at);

CREATE TABLE identity_replays (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    until BIGINT
);

CREATE INDEX identity_replays_until ON identity_replays (until);

ALTER TABLE agents ADD COLUMN proven_at BIGINT;
