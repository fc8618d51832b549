-- The request log: who wrote it, and which tables there are. On SQLite in a file of its own.
-- Rows are packed in blocks (crates/core/src/activity/block.rs). The tables of blocks, their bodies and
-- what is counted of tokens are made as time goes on, one for some days each, and dropped whole
-- (crates/hoody/src/activity/tables.rs).

-- One row for each start of a server that writes.
CREATE TABLE activity_runs (
    run        BIGINT NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    -- The number of its last row that is stored. Set together with the rows: who sees it sees them.
    written    BIGINT NOT NULL,
    -- How many rows could not be stored.
    lost       BIGINT NOT NULL
);

CREATE TABLE activity_tables (
    kind TEXT   NOT NULL,
    span BIGINT NOT NULL,
    PRIMARY KEY (kind, span)
);
