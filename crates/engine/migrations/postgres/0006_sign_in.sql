-- Signing in for somebody else to go on: intents, authorization codes, requests of devices. Rows of
-- minutes; every secret is a keyed digest, and what is used up is gone or says so. No row names its key:
-- whatever is under way when a master key is retired is begun again.

CREATE TABLE auth_codes (
    digest        BYTEA    NOT NULL PRIMARY KEY,
    -- 'intent' or 'code'
    kind          TEXT COLLATE "C"    NOT NULL,
    user_id       BYTEA    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the account when it signed in: logout and a new password void what was made before.
    generation    BIGINT  NOT NULL,
    challenge     TEXT COLLATE "C"    NOT NULL,
    redirect_uri  TEXT COLLATE "C",
    client        TEXT COLLATE "C"    NOT NULL,
    second_factor TEXT COLLATE "C",
    expires_at    BIGINT  NOT NULL
);
CREATE INDEX auth_codes_by_end ON auth_codes (expires_at);

-- Temporary tokens of logins that were given up before their time was over.
CREATE TABLE cancelled_logins (
    digest     BYTEA   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX cancelled_logins_by_end ON cancelled_logins (expires_at);

CREATE TABLE device_requests (
    id            BYTEA   NOT NULL PRIMARY KEY,
    device_digest BYTEA   NOT NULL UNIQUE,
    user_digest   BYTEA   NOT NULL UNIQUE,
    -- What is shown to the person: who asks, as it calls itself, and from where.
    client_name   TEXT COLLATE "C",
    client        TEXT COLLATE "C"   NOT NULL,
    ip            TEXT COLLATE "C"   NOT NULL,
    challenge     TEXT COLLATE "C",
    -- 'pending', 'approved', 'denied', 'used'
    status        TEXT COLLATE "C"   NOT NULL,
    -- Of the page that looked the user code up last.
    ticket_digest BYTEA   UNIQUE,
    cookie_digest BYTEA,
    -- Who approved it; void when the generation is another.
    user_id       BYTEA   REFERENCES users (id) ON DELETE CASCADE,
    generation    BIGINT,
    second_factor TEXT COLLATE "C",
    polled_at     BIGINT,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX device_requests_by_end ON device_requests (expires_at);
