-- Sessions in a browser: what the cookie of one is known by, and when its owner was last there.
CREATE TABLE console_sessions (
    session_id   BYTEA   NOT NULL PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    digest       BYTEA   NOT NULL UNIQUE,
    -- The cookie before this one, for requests that are under way while it changes.
    prev_digest  BYTEA,
    prev_until   BIGINT,
    last_seen_at BIGINT NOT NULL,
    -- When the password was last given, with the second factor where it is on.
    proved_at    BIGINT NOT NULL,
    user_agent   TEXT COLLATE "C"
);
CREATE INDEX console_sessions_by_prev ON console_sessions (prev_digest) WHERE prev_digest IS NOT NULL;
