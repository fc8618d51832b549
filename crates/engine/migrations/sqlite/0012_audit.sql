-- The audit log: the feed's rows, each sealed by a hash over itself and all before it. Nothing deletes here.

CREATE TABLE audit (
    -- From 1, without gaps.
    n             BIGINT NOT NULL PRIMARY KEY,
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
    link          BLOB   NOT NULL,
    UNIQUE (pos, seq)
);
CREATE INDEX audit_by_time ON audit (at, n);

-- What was sealed until now, signed: the last, and the last of each hour before.
CREATE TABLE audit_checkpoints (
    -- Of the last row.
    n      BIGINT NOT NULL PRIMARY KEY,
    pos    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    link   BLOB   NOT NULL,
    key_id TEXT   NOT NULL,
    mac    BLOB   NOT NULL
);
