-- What is to be done outside the database, the tokens that mails carry, and invitations.

CREATE TABLE jobs (
    id            BLOB   NOT NULL PRIMARY KEY,
    kind          TEXT   NOT NULL,
    -- Whom it concerns, if anybody; no reference: what is to be told may outlive the account.
    account_id    BLOB,
    -- Sealed: it may hold a link that opens an account. Emptied when it is done.
    key_id        TEXT   NOT NULL,
    payload       BLOB   NOT NULL,
    -- 'waiting', 'done' or 'failed'
    state         TEXT   NOT NULL,
    run_at        BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    -- The attempt that is under way, until it is presumed dead.
    claimed_by    BLOB,
    claimed_until BIGINT,
    last_error    TEXT,
    created_at    BIGINT NOT NULL,
    done_at       BIGINT
);
CREATE INDEX jobs_by_turn ON jobs (kind, state, run_at);
CREATE INDEX jobs_by_end ON jobs (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX jobs_by_key ON jobs (key_id);

-- At most one of each purpose for an account: a new one takes the place of the old.
CREATE TABLE mail_tokens (
    user_id    BLOB   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT   NOT NULL,
    digest     BLOB   NOT NULL UNIQUE,
    key_id     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, purpose)
);
CREATE INDEX mail_tokens_by_key ON mail_tokens (key_id);

CREATE TABLE invitations (
    id         BLOB   NOT NULL PRIMARY KEY,
    digest     BLOB   NOT NULL UNIQUE,
    key_id     TEXT   NOT NULL,
    -- Whose it is, if it is not anybody's who has it.
    email      TEXT,
    email_fold TEXT,
    max_uses   BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX invitations_by_key ON invitations (key_id);

-- 'email' for who signed up; nothing for accounts that the operator made.
ALTER TABLE users ADD COLUMN signup_method TEXT;
