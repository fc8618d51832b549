-- Counters that all nodes share, and what happened to an account, for its owner.

-- One row for each thing that is counted: how often since its window began, and when that ends.
CREATE TABLE rate_limits (
    limit_name TEXT   NOT NULL,
    -- A keyed digest of an address, a name or an id: no list of who signs in from where.
    subject    BLOB   NOT NULL,
    hits       BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (limit_name, subject)
);
CREATE INDEX rate_limits_by_end ON rate_limits (expires_at);

CREATE TABLE security_history (
    id         BLOB   NOT NULL PRIMARY KEY,
    user_id    BLOB   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    event      TEXT   NOT NULL,
    -- 'sign_in', 'failed' or 'security': what a reader asks for.
    kind       TEXT   NOT NULL,
    -- NULL: the operator, at the machine.
    ip         TEXT,
    -- Of a sign-in that succeeded: its address, of IPv6 the /64. Failures from there are counted apart.
    network    TEXT,
    client     TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX security_history_by_user ON security_history (user_id, created_at, id);
CREATE INDEX security_history_by_login ON security_history (user_id, created_at) WHERE network IS NOT NULL;
CREATE INDEX security_history_by_network ON security_history (user_id, network, created_at) WHERE network IS NOT NULL;
CREATE INDEX security_history_by_age ON security_history (created_at);
