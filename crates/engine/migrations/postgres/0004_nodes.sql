-- Who serves this database, and which of them does what only one may do.

CREATE TABLE nodes (
    -- Of a process: another with each start.
    id         BYTEA   NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C"   NOT NULL,
    version    TEXT COLLATE "C"   NOT NULL,
    -- The ids of the master keys that it has, the one that it signs with first, with commas between.
    key_ids    TEXT COLLATE "C"   NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    -- The feed's position up to which everything is applied.
    applied    BIGINT NOT NULL,
    -- The longest that a change took to be applied, of those since the last time this row was written.
    lag_ms     BIGINT NOT NULL
);

CREATE TABLE leases (
    name       TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    holder     BYTEA   NOT NULL,
    -- Raised whenever another takes it: who held it before finds out when it writes.
    term       BIGINT NOT NULL,
    held_until BIGINT NOT NULL
);

-- The highest position that somebody waits for to be applied everywhere.
CREATE TABLE feed_wait (
    id  BIGINT NOT NULL PRIMARY KEY,
    pos BIGINT NOT NULL
);

INSERT INTO feed_wait (id, pos) VALUES (1, 0);
