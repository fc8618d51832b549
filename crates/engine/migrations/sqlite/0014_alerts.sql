-- Alerts: what accounts should know, what they set, and what the evaluator remembers.

-- How far the evaluator is: one row, written together with what it raises.
CREATE TABLE alert_head (
    id         BIGINT NOT NULL PRIMARY KEY,
    -- Its place in the request log, as JSON; NULL before the first server of this version began.
    log        TEXT,
    -- Its place in the feed.
    pos        BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    -- Up to here it looked for tokens that are about to expire; NULL as above.
    looked_at  BIGINT,
    -- When the walk through all tokens began that looks for unused ones, and after which token it goes on;
    -- NULL when it is over.
    walk_at    BIGINT NOT NULL,
    walk_after BLOB
);
INSERT INTO alert_head (id, log, pos, seq, looked_at, walk_at, walk_after)
    SELECT 1, NULL, pos, 4294967295, NULL, 0, NULL FROM feed_head WHERE id = 1;

CREATE TABLE alerts (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         TEXT   NOT NULL,
    -- 'token', 'account' or 'webhook', and which.
    subject_type TEXT   NOT NULL,
    subject_id   BLOB    NOT NULL,
    -- What it was called then.
    subject_name TEXT,
    -- Of the subject, with commas between.
    realm_ids    TEXT   NOT NULL,
    -- 'open', 'acknowledged' or 'dismissed'
    state        TEXT   NOT NULL,
    -- Kept and told to nobody.
    is_muted     BOOLEAN NOT NULL,
    hits         BIGINT NOT NULL,
    first_at     BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    -- Until then the same thing is counted here.
    counts_until BIGINT NOT NULL,
    -- The last one's.
    ip           TEXT,
    -- What else there is to say, as JSON. Never a secret.
    details      TEXT   NOT NULL,
    settled_at   BIGINT
);
CREATE INDEX alerts_by_time ON alerts (user_id, last_at, id);
CREATE INDEX alerts_by_subject ON alerts (user_id, kind, subject_id, first_at);
CREATE INDEX alerts_by_age ON alerts (last_at);

-- What an account wants otherwise than by default.
CREATE TABLE alert_settings (
    user_id     BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        TEXT   NOT NULL,
    is_enabled  BOOLEAN NOT NULL,
    threshold   BIGINT NOT NULL,
    muted_until BIGINT,
    by_mail     BOOLEAN NOT NULL,
    by_webhook  BOOLEAN NOT NULL,
    disables    BOOLEAN NOT NULL,
    PRIMARY KEY (user_id, kind)
);
CREATE INDEX alert_settings_by_kind ON alert_settings (kind, threshold);

-- From where a token was used, or an account signed in: at most 96 bytes (crates/core/src/alert/seen.rs).
CREATE TABLE alert_seen (
    -- Of a token or an account.
    id        BLOB    NOT NULL PRIMARY KEY,
    addresses BLOB    NOT NULL
);

-- How often something happened in a while.
CREATE TABLE alert_counters (
    kind    TEXT   NOT NULL,
    subject BLOB    NOT NULL,
    hits    BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX alert_counters_by_end ON alert_counters (ends_at);

-- Whose the tokens were that are deleted: who still sends one is told of.
CREATE TABLE deleted_tokens (
    -- As it was in tokens.
    digest     BLOB    NOT NULL PRIMARY KEY,
    id         BLOB    NOT NULL,
    user_id    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    alias      TEXT   NOT NULL,
    realm_ids  TEXT   NOT NULL,
    deleted_at BIGINT NOT NULL
);
CREATE INDEX deleted_tokens_by_id ON deleted_tokens (id);
CREATE INDEX deleted_tokens_by_user ON deleted_tokens (user_id);
CREATE INDEX deleted_tokens_by_age ON deleted_tokens (deleted_at);

CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
