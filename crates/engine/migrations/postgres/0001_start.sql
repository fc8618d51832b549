-- Accounts, sessions, tokens, projects and the change feed.
-- Ids are 12 bytes, instants milliseconds since 1970, JSON is text.

CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- The ids of the master keys in use; never the keys.
CREATE TABLE master_keys (
    id         TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE feed_head (
    id  BIGINT NOT NULL PRIMARY KEY,
    pos BIGINT NOT NULL
);

CREATE TABLE feed (
    pos           BIGINT NOT NULL,
    seq           BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    event_type    TEXT COLLATE "C"   NOT NULL,
    account_id    BYTEA   NOT NULL,
    actor_kind    TEXT COLLATE "C"   NOT NULL,
    actor_id      BYTEA,
    resource_type TEXT COLLATE "C"   NOT NULL,
    resource_id   BYTEA   NOT NULL,
    realm_ids     TEXT COLLATE "C"   NOT NULL,
    payload       TEXT COLLATE "C"   NOT NULL,
    -- What every node has to forget: 'account', 'token' or 'session' and its id.
    forget_kind   TEXT COLLATE "C",
    forget_id     BYTEA,
    PRIMARY KEY (pos, seq)
);

CREATE TABLE users (
    id             BYTEA    NOT NULL PRIMARY KEY,
    username       TEXT COLLATE "C"    NOT NULL UNIQUE,
    username_fold  TEXT COLLATE "C"    NOT NULL UNIQUE,
    email          TEXT COLLATE "C",
    email_fold     TEXT COLLATE "C"    UNIQUE,
    alias          TEXT COLLATE "C"    NOT NULL,
    public_key     TEXT COLLATE "C",
    metadata       TEXT COLLATE "C",
    password_hash  TEXT COLLATE "C"    NOT NULL,
    email_verified BOOLEAN NOT NULL,
    is_banned      BOOLEAN NOT NULL,
    -- Raised by logout and by a new password: sessions of an older generation are refused.
    generation     BIGINT  NOT NULL,
    -- Raised by every mutation of the account: the row lock that puts them in order.
    version        BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);

CREATE TABLE sessions (
    id         BYTEA   NOT NULL PRIMARY KEY,
    user_id    BYTEA   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT,
    client     TEXT COLLATE "C"   NOT NULL,
    ip         TEXT COLLATE "C"   NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE tokens (
    id                  BYTEA    NOT NULL PRIMARY KEY,
    user_id             BYTEA    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest              BYTEA    NOT NULL UNIQUE,
    key_id              TEXT COLLATE "C"    NOT NULL,
    alias               TEXT COLLATE "C"    NOT NULL,
    public_key          TEXT COLLATE "C",
    public_storage      TEXT COLLATE "C",
    ip_whitelist        TEXT COLLATE "C"    NOT NULL,
    -- The packed list, so that a cold read is one row; token_realms answers questions by realm.
    realm_ids           TEXT COLLATE "C"    NOT NULL,
    allow_no_realm      BOOLEAN NOT NULL,
    permissions         TEXT COLLATE "C"    NOT NULL,
    vault_access        BOOLEAN NOT NULL,
    event_access        BOOLEAN NOT NULL,
    expires_at          BIGINT,
    is_enabled          BOOLEAN NOT NULL,
    created_by_token_id BYTEA,
    delegation_depth    BIGINT  NOT NULL,
    last_used_at        BIGINT,
    last_used_ip        TEXT COLLATE "C",
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    UNIQUE (user_id, alias)
);
CREATE INDEX tokens_by_user ON tokens (user_id, created_at, id);
CREATE INDEX tokens_by_public_key ON tokens (public_key) WHERE public_key IS NOT NULL;
CREATE INDEX tokens_by_key ON tokens (key_id);

CREATE TABLE token_realms (
    token_id BYTEA NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    realm_id BYTEA NOT NULL,
    user_id  BYTEA NOT NULL,
    PRIMARY KEY (token_id, realm_id)
);
CREATE INDEX token_realms_by_user ON token_realms (user_id, realm_id);

CREATE TABLE projects (
    id             BYTEA    NOT NULL PRIMARY KEY,
    user_id        BYTEA    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    alias          TEXT COLLATE "C"    NOT NULL,
    color          TEXT COLLATE "C"    NOT NULL,
    max_containers BIGINT,
    is_default     BOOLEAN NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    UNIQUE (user_id, alias)
);
CREATE INDEX projects_by_user ON projects (user_id, created_at, id);

CREATE TABLE project_realms (
    project_id BYTEA   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    realm_id   BYTEA   NOT NULL,
    user_id    BYTEA   NOT NULL,
    place      BIGINT NOT NULL,
    PRIMARY KEY (project_id, realm_id)
);
CREATE INDEX project_realms_by_user ON project_realms (user_id, realm_id);

CREATE TABLE project_members (
    id               BYTEA   NOT NULL PRIMARY KEY,
    project_id       BYTEA   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id          BYTEA   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    permission_level TEXT COLLATE "C"   NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    UNIQUE (project_id, user_id)
);
CREATE INDEX project_members_by_user ON project_members (user_id);

INSERT INTO feed_head (id, pos) VALUES (1, 0);
