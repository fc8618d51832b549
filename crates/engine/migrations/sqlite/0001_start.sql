-- Accounts, sessions, tokens, projects and the change feed.
-- Ids are 12 bytes, instants milliseconds since 1970, JSON is text.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

-- The ids of the master keys in use; never the keys.
CREATE TABLE master_keys (
    id         TEXT   NOT NULL PRIMARY KEY,
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
    event_type    TEXT   NOT NULL,
    account_id    BLOB   NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_id      BLOB,
    resource_type TEXT   NOT NULL,
    resource_id   BLOB   NOT NULL,
    realm_ids     TEXT   NOT NULL,
    payload       TEXT   NOT NULL,
    -- What every node has to forget: 'account', 'token' or 'session' and its id.
    forget_kind   TEXT,
    forget_id     BLOB,
    PRIMARY KEY (pos, seq)
);

CREATE TABLE users (
    id             BLOB    NOT NULL PRIMARY KEY,
    username       TEXT    NOT NULL UNIQUE,
    username_fold  TEXT    NOT NULL UNIQUE,
    email          TEXT,
    email_fold     TEXT    UNIQUE,
    alias          TEXT    NOT NULL,
    public_key     TEXT,
    metadata       TEXT,
    password_hash  TEXT    NOT NULL,
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
    id         BLOB   NOT NULL PRIMARY KEY,
    user_id    BLOB   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT,
    client     TEXT   NOT NULL,
    ip         TEXT   NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE tokens (
    id                  BLOB    NOT NULL PRIMARY KEY,
    user_id             BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest              BLOB    NOT NULL UNIQUE,
    key_id              TEXT    NOT NULL,
    alias               TEXT    NOT NULL,
    public_key          TEXT,
    public_storage      TEXT,
    ip_whitelist        TEXT    NOT NULL,
    -- The packed list, so that a cold read is one row; token_realms answers questions by realm.
    realm_ids           TEXT    NOT NULL,
    allow_no_realm      BOOLEAN NOT NULL,
    permissions         TEXT    NOT NULL,
    vault_access        BOOLEAN NOT NULL,
    event_access        BOOLEAN NOT NULL,
    expires_at          BIGINT,
    is_enabled          BOOLEAN NOT NULL,
    created_by_token_id BLOB,
    delegation_depth    BIGINT  NOT NULL,
    last_used_at        BIGINT,
    last_used_ip        TEXT,
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    UNIQUE (user_id, alias)
);
CREATE INDEX tokens_by_user ON tokens (user_id, created_at, id);
CREATE INDEX tokens_by_public_key ON tokens (public_key) WHERE public_key IS NOT NULL;
CREATE INDEX tokens_by_key ON tokens (key_id);

CREATE TABLE token_realms (
    token_id BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    realm_id BLOB NOT NULL,
    user_id  BLOB NOT NULL,
    PRIMARY KEY (token_id, realm_id)
);
CREATE INDEX token_realms_by_user ON token_realms (user_id, realm_id);

CREATE TABLE projects (
    id             BLOB    NOT NULL PRIMARY KEY,
    user_id        BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    alias          TEXT    NOT NULL,
    color          TEXT    NOT NULL,
    max_containers BIGINT,
    is_default     BOOLEAN NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    UNIQUE (user_id, alias)
);
CREATE INDEX projects_by_user ON projects (user_id, created_at, id);

CREATE TABLE project_realms (
    project_id BLOB   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    realm_id   BLOB   NOT NULL,
    user_id    BLOB   NOT NULL,
    place      BIGINT NOT NULL,
    PRIMARY KEY (project_id, realm_id)
);
CREATE INDEX project_realms_by_user ON project_realms (user_id, realm_id);

CREATE TABLE project_members (
    id               BLOB   NOT NULL PRIMARY KEY,
    project_id       BLOB   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id          BLOB   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    permission_level TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    UNIQUE (project_id, user_id)
);
CREATE INDEX project_members_by_user ON project_members (user_id);

INSERT INTO feed_head (id, pos) VALUES (1, 0);
