CREATE TABLE deployment (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE ssh_authorities (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(8) NOT NULL,
    public_key TEXT NOT NULL,
    private_key ${BYTES} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX ssh_authorities_kind ON ssh_authorities (kind);

CREATE TABLE audit (
    number BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_id VARCHAR(36) NOT NULL,
    actor VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    action VARCHAR(64) NOT NULL,
    target_type VARCHAR(32) NOT NULL,
    target_id VARCHAR(36) NOT NULL,
    target TEXT NOT NULL,
    before TEXT,
    after TEXT,
    previous VARCHAR(64) NOT NULL,
    digest VARCHAR(64) NOT NULL
);

CREATE INDEX audit_at ON audit (at);

CREATE INDEX audit_actor_id ON audit (actor_id);

CREATE INDEX audit_target_id ON audit (target_id);

CREATE TABLE users (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    username VARCHAR(64) NOT NULL,
    email VARCHAR(254) NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT,
    status VARCHAR(16) NOT NULL,
    login_type VARCHAR(16) NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT
);

CREATE UNIQUE INDEX users_username ON users (username);

CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE user_roles (
    user_id VARCHAR(36) NOT NULL,
    role VARCHAR(32) NOT NULL,
    PRIMARY KEY (user_id, role)
);

CREATE TABLE user_keys (
    user_id VARCHAR(36) NOT NULL PRIMARY KEY,
    public_key TEXT NOT NULL,
    private_key ${BYTES} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    secret_hash VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_user_id ON sessions (user_id);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE tokens (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    name VARCHAR(64) NOT NULL,
    scope VARCHAR(32) NOT NULL,
    secret_hash VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);

CREATE INDEX tokens_user_id ON tokens (user_id);

CREATE INDEX tokens_expires_at ON tokens (expires_at);

CREATE UNIQUE INDEX tokens_user_id_name ON tokens (user_id, name);

CREATE TABLE login_failures (
    id ${SERIAL},
    account VARCHAR(254) NOT NULL,
    address VARCHAR(64) NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX login_failures_at ON login_failures (at);

CREATE INDEX login_failures_account_at ON login_failures (account, at);

CREATE INDEX login_failures_address_at ON login_failures (address, at);

CREATE TABLE archives (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    sha256 VARCHAR(64) NOT NULL,
    size INTEGER NOT NULL,
    content ${BYTES} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX archives_sha256 ON archives (sha256);

CREATE TABLE templates (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    display_name VARCHAR(64) NOT NULL,
    description TEXT NOT NULL,
    icon TEXT NOT NULL,
    active_version_id VARCHAR(36),
    created_by VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deprecated TEXT,
    deleted_at BIGINT
);

CREATE TABLE template_versions (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    template_id VARCHAR(36),
    archive_id VARCHAR(36) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    name VARCHAR(64) NOT NULL,
    message TEXT NOT NULL,
    readme TEXT NOT NULL,
    variable_values ${BYTES},
    parameters TEXT NOT NULL,
    presets TEXT NOT NULL,
    variables TEXT NOT NULL,
    providers TEXT NOT NULL,
    created_by VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    archived BOOLEAN NOT NULL
);

CREATE INDEX template_versions_template_id ON template_versions (template_id);

CREATE UNIQUE INDEX template_versions_job_id ON template_versions (job_id);

CREATE TABLE jobs (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(32) NOT NULL,
    status VARCHAR(16) NOT NULL,
    stage VARCHAR(16) NOT NULL,
    initiator_id VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    error TEXT,
    reason VARCHAR(64),
    attempt INTEGER NOT NULL,
    provisioner VARCHAR(128),
    lease VARCHAR(64),
    lease_expires_at BIGINT,
    cancel_requested_at BIGINT
);

CREATE INDEX jobs_status_created_at ON jobs (status, created_at);

CREATE INDEX jobs_status_lease_expires_at ON jobs (status, lease_expires_at);

CREATE TABLE job_logs (
    job_id VARCHAR(36) NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level VARCHAR(8) NOT NULL,
    source VARCHAR(64) NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
);

CREATE TABLE journal (
    key VARCHAR(128) NOT NULL PRIMARY KEY,
    workspace_id VARCHAR(36),
    build_id VARCHAR(36),
    job_id VARCHAR(36) NOT NULL,
    provider VARCHAR(255) NOT NULL,
    type_name VARCHAR(128) NOT NULL,
    address TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    identity TEXT,
    state ${BYTES},
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX journal_workspace_id ON journal (workspace_id);

CREATE INDEX journal_job_id ON journal (job_id);

CREATE TABLE provisioners (
    id VARCHAR(128) NOT NULL PRIMARY KEY,
    version VARCHAR(32) NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    name_key VARCHAR(64) NOT NULL,
    owner_id VARCHAR(36) NOT NULL,
    template_id VARCHAR(36) NOT NULL,
    latest_build_id VARCHAR(36),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_used_at BIGINT,
    deleted_at BIGINT
);

CREATE INDEX workspaces_template_id ON workspaces (template_id);

CREATE TABLE builds (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    workspace_id VARCHAR(36) NOT NULL,
    number INTEGER NOT NULL,
    transition VARCHAR(16) NOT NULL,
    template_version_id VARCHAR(36) NOT NULL,
    initiator_id VARCHAR(36) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    job_id VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    deadline BIGINT,
    daily_cost INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    orphan BOOLEAN NOT NULL
);

CREATE INDEX builds_template_version_id ON builds (template_version_id);

CREATE UNIQUE INDEX builds_job_id ON builds (job_id);

CREATE UNIQUE INDEX builds_workspace_id_number ON builds (workspace_id, number);

CREATE TABLE states (
    build_id VARCHAR(36) NOT NULL PRIMARY KEY,
    content ${BYTES} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE resources (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    build_id VARCHAR(36) NOT NULL,
    position INTEGER NOT NULL,
    address TEXT NOT NULL,
    type VARCHAR(128) NOT NULL,
    name VARCHAR(128) NOT NULL,
    icon TEXT NOT NULL,
    hide BOOLEAN NOT NULL,
    daily_cost INTEGER NOT NULL,
    metadata TEXT NOT NULL
);

CREATE INDEX resources_build_id ON resources (build_id);

CREATE TABLE agents (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    resource_id VARCHAR(36) NOT NULL,
    build_id VARCHAR(36) NOT NULL,
    workspace_id VARCHAR(36),
    name VARCHAR(64) NOT NULL,
    os VARCHAR(16) NOT NULL,
    arch VARCHAR(16) NOT NULL,
    directory TEXT NOT NULL,
    token_hash VARCHAR(64),
    instance_id VARCHAR(255),
    sealed ${BYTES},
    lifecycle VARCHAR(32) NOT NULL,
    motd_file TEXT NOT NULL,
    connection_timeout INTEGER NOT NULL,
    troubleshooting_url TEXT NOT NULL,
    display_apps TEXT NOT NULL,
    position INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    settings TEXT NOT NULL,
    version VARCHAR(64) NOT NULL,
    boot_id VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    first_connected_at BIGINT,
    last_connected_at BIGINT,
    disconnected_at BIGINT,
    started_at BIGINT,
    ready_at BIGINT
);

CREATE INDEX agents_resource_id ON agents (resource_id);

CREATE INDEX agents_build_id ON agents (build_id);

CREATE INDEX agents_workspace_id ON agents (workspace_id);

CREATE INDEX agents_token_hash ON agents (token_hash);

CREATE INDEX agents_instance_id ON agents (instance_id);

CREATE TABLE apps (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    agent_id VARCHAR(36) NOT NULL,
    slug VARCHAR(64) NOT NULL,
    display_name VARCHAR(64) NOT NULL,
    url TEXT,
    icon TEXT NOT NULL,
    command TEXT,
    external BOOLEAN NOT NULL,
    subdomain BOOLEAN NOT NULL,
    share VARCHAR(16) NOT NULL,
    hidden BOOLEAN NOT NULL,
    open_in VARCHAR(16) NOT NULL,
    position INTEGER NOT NULL,
    group_name VARCHAR(64) NOT NULL,
    tooltip TEXT NOT NULL,
    health VARCHAR(16) NOT NULL,
    healthcheck TEXT
);

CREATE INDEX apps_agent_id ON apps (agent_id);

CREATE TABLE scripts (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    agent_id VARCHAR(36) NOT NULL,
    position INTEGER NOT NULL,
    display_name VARCHAR(64) NOT NULL,
    icon TEXT NOT NULL,
    log_path TEXT NOT NULL,
    script TEXT NOT NULL,
    cron VARCHAR(128) NOT NULL,
    run_on_start BOOLEAN NOT NULL,
    run_on_stop BOOLEAN NOT NULL,
    start_blocks_login BOOLEAN NOT NULL,
    timeout INTEGER NOT NULL
);

CREATE INDEX scripts_agent_id ON scripts (agent_id);

CREATE TABLE script_runs (
    id ${SERIAL},
    script_id VARCHAR(36) NOT NULL,
    stage VARCHAR(8) NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    exit_code INTEGER NOT NULL,
    timed_out BOOLEAN NOT NULL
);

CREATE INDEX script_runs_script_id ON script_runs (script_id);

CREATE TABLE agent_logs (
    agent_id VARCHAR(36) NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level VARCHAR(8) NOT NULL,
    source VARCHAR(64) NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (agent_id, number)
);

CREATE UNIQUE INDEX workspaces_owner_name ON workspaces (owner_id, name_key) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX templates_name ON templates (name) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX template_versions_template_name ON template_versions (template_id, name);
