-- Signing in for somebody else to go on: intents, authorization codes, requests of devices. Rows of
-- minutes; every secret is a keyed digest, and what is used up is gone or says so. No row names its key:
-- whatever is under way when a master key is retired is begun again.

CREATE TABLE auth_codes (
    digest        BLOB    NOT NULL PRIMARY KEY,
    -- 'intent' or 'code'
    kind          TEXT    NOT NULL,
    user_id       BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the account when it signed in: logout and a new password void what was made before.
    generation    BIGINT  NOT NULL,
    challenge     TEXT    NOT NULL,
    redirect_uri  TEXT,
    client        TEXT    NOT NULL,
    second_factor TEXT,
    expires_at    BIGINT  NOT NULL
);
CREATE INDEX auth_codes_by_end ON auth_codes (expires_at);

-- Temporary tokens of logins that were given up before their time was over.
CREATE TABLE cancelled_logins (
    digest     BLOB   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX cancelled_logins_by_end ON cancelled_logins (expires_at);

CREATE TABLE device_requests (
    id            BLOB   NOT NULL PRIMARY KEY,
    device_digest BLOB   NOT NULL UNIQUE,
    user_digest   BLOB   NOT NULL UNIQUE,
    -- What is shown to the person: who asks, as it calls itself, and from where.
    client_name   TEXT,
    client        TEXT   NOT NULL,
    ip            TEXT   NOT NULL,
    challenge     TEXT,
    -- 'pending', 'approved', 'denied', 'used'
    status        TEXT   NOT NULL,
    -- Of the page that looked the user code up last.
    ticket_digest BLOB   UNIQUE,
    cookie_digest BLOB,
    -- Who approved it; void when the generation is another.
    user_id       BLOB   REFERENCES users (id) ON DELETE CASCADE,
    generation    BIGINT,
    second_factor TEXT,
    polled_at     BIGINT,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX device_requests_by_end ON device_requests (expires_at);
