-- The second factor: secrets sealed for their row and column, backup codes as keyed digests.

CREATE TABLE two_factor (
    user_id            BLOB    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Both or neither: it is on.
    secret             BLOB,
    enabled_at         BIGINT,
    -- The last step that was accepted: it and all before it are refused.
    last_step          BIGINT,
    require_for_tokens BOOLEAN NOT NULL,
    -- Shown to somebody who has not proved yet that an app has it.
    pending_secret     BLOB,
    pending_at         BIGINT,
    -- Wrong codes since the last right one, on every route; outlives sessions and setups.
    failures           BIGINT  NOT NULL,
    locked_until       BIGINT
);

CREATE TABLE backup_codes (
    user_id    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest     BLOB    NOT NULL,
    key_id     TEXT    NOT NULL,
    -- Of a setup that is not finished: opens nothing.
    is_pending BOOLEAN NOT NULL,
    PRIMARY KEY (user_id, digest)
);
CREATE INDEX backup_codes_by_key ON backup_codes (key_id);
