-- Webhooks: endpoints of accounts, and the events on their way to them.

CREATE TABLE webhooks (
    id              BLOB    NOT NULL PRIMARY KEY,
    user_id         BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url             TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    -- Patterns of types and ids of realms with commas between; empty is all.
    event_types     TEXT    NOT NULL,
    realm_ids       TEXT    NOT NULL,
    is_enabled      BOOLEAN NOT NULL,
    disabled_reason TEXT,
    key_id          TEXT    NOT NULL,
    -- Sealed, both; the one before the last rotation still signs for a while.
    secret          BLOB    NOT NULL,
    previous_key_id TEXT,
    previous_secret BLOB,
    previous_until  BIGINT,
    -- Of the attempts since the last that arrived.
    failing_since   BIGINT,
    failures        BIGINT  NOT NULL,
    paused_until    BIGINT  NOT NULL,
    -- The node that sends to it now, until it is presumed dead.
    claimed_by      BLOB,
    claimed_until   BIGINT,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL
);
CREATE INDEX webhooks_by_user ON webhooks (user_id, created_at, id);
CREATE INDEX webhooks_by_key ON webhooks (key_id);
CREATE INDEX webhooks_by_previous_key ON webhooks (previous_key_id) WHERE previous_key_id IS NOT NULL;

CREATE TABLE webhook_deliveries (
    id              BLOB   NOT NULL PRIMARY KEY,
    webhook_id      BLOB   NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    -- The place of the event in the feed: the order in which they are sent.
    pos             BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    event_id        BLOB   NOT NULL,
    event_type      TEXT   NOT NULL,
    -- What is sent, to the byte. As the event, without secrets.
    body            TEXT   NOT NULL,
    -- 'waiting', 'delivered' or 'failed'
    state           TEXT   NOT NULL,
    run_at          BIGINT NOT NULL,
    give_up_at      BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    last_attempt_at BIGINT,
    status          BIGINT,
    duration_ms     BIGINT,
    error           TEXT,
    answer          TEXT,
    created_at      BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_by_turn ON webhook_deliveries (webhook_id, state, run_at);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (run_at, webhook_id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
