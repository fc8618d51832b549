-- Master keys that follow one another: which is in force, and what still hangs on those before it.

-- NULL while it waits until every node has it.
ALTER TABLE master_keys ADD COLUMN promoted_at BIGINT;
-- Since then nothing is under it.
ALTER TABLE master_keys ADD COLUMN retired_at BIGINT;
UPDATE master_keys SET promoted_at = created_at;

-- How often a key was retired: what began before and sealed under it must not be committed after.
ALTER TABLE feed_head ADD COLUMN retirements BIGINT NOT NULL DEFAULT 0;

-- The master keys that signed the pair in force, and the pair before it, which is good for a minute more.
ALTER TABLE sessions ADD COLUMN key_id TEXT;
ALTER TABLE sessions ADD COLUMN previous_key_id TEXT;
UPDATE sessions SET key_id = (SELECT id FROM master_keys ORDER BY created_at, id LIMIT 1);
CREATE INDEX sessions_by_key ON sessions (key_id);
CREATE INDEX sessions_by_previous_key ON sessions (previous_key_id, rotated_at);

-- What tells that a token was made under a master key, sealed under another: tokens outlive the key.
CREATE TABLE token_tags (
    made_under TEXT NOT NULL PRIMARY KEY,
    -- The master key that it is sealed under.
    key_id     TEXT NOT NULL,
    sealed     BLOB NOT NULL
);
CREATE INDEX token_tags_by_key ON token_tags (key_id);

-- These secrets name their key in their first eight bytes alone.
CREATE INDEX two_factor_by_key ON two_factor (substr(secret, 1, 8));
CREATE INDEX two_factor_by_pending_key ON two_factor (substr(pending_secret, 1, 8));
