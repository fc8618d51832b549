-- The audit log: the feed's rows, each sealed by a hash over itself and all before it. Nothing deletes here.

CREATE TABLE audit (
    -- From 1, without gaps.
    n             BIGINT NOT NULL PRIMARY KEY,
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
    link          BYTEA   NOT NULL,
    UNIQUE (pos, seq)
);
CREATE INDEX audit_by_time ON audit (at, n);

-- What was sealed until now, signed: the last, and the last of each hour before.
CREATE TABLE audit_checkpoints (
    -- Of the last row.
    n      BIGINT NOT NULL PRIMARY KEY,
    pos    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    link   BYTEA   NOT NULL,
    key_id TEXT COLLATE "C"   NOT NULL,
    mac    BYTEA   NOT NULL
);
