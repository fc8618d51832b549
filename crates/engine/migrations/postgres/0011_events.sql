-- Events: what users may query and delete of the feed, which nobody deletes from.

-- How far the feed was read into them: one row.
CREATE TABLE event_head (
    id         BIGINT NOT NULL PRIMARY KEY,
    pos        BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    -- When what was read last happened.
    at         BIGINT NOT NULL,
    -- Up to here what happened was removed for its age.
    swept_pos  BIGINT NOT NULL,
    swept_seq  BIGINT NOT NULL
);

-- pos and seq are those of the feed.
CREATE TABLE events (
    pos           BIGINT NOT NULL,
    seq           BIGINT NOT NULL,
    id            BYTEA   NOT NULL UNIQUE,
    at            BIGINT NOT NULL,
    event_type    TEXT COLLATE "C"   NOT NULL,
    account_id    BYTEA   NOT NULL,
    actor_kind    TEXT COLLATE "C"   NOT NULL,
    actor_id      BYTEA,
    resource_type TEXT COLLATE "C"   NOT NULL,
    resource_id   BYTEA   NOT NULL,
    project_id    BYTEA,
    realm_ids     TEXT COLLATE "C"   NOT NULL,
    payload       TEXT COLLATE "C"   NOT NULL,
    PRIMARY KEY (pos, seq)
);

-- Where each event is looked for: once among all of its account (realm_id is empty), and once in each of
-- its realms. Every question about events is answered from one range of one index here.
CREATE TABLE event_places (
    account_id    BYTEA   NOT NULL,
    realm_id      BYTEA   NOT NULL,
    pos           BIGINT NOT NULL,
    seq           BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    event_type    TEXT COLLATE "C"   NOT NULL,
    resource_type TEXT COLLATE "C"   NOT NULL,
    resource_id   BYTEA   NOT NULL,
    project_id    BYTEA,
    PRIMARY KEY (account_id, realm_id, pos, seq),
    FOREIGN KEY (pos, seq) REFERENCES events (pos, seq) ON DELETE CASCADE
);
CREATE INDEX event_places_by_event ON event_places (pos, seq);
CREATE INDEX event_places_by_time ON event_places (account_id, realm_id, at, pos, seq);
CREATE INDEX event_places_by_type ON event_places (account_id, realm_id, event_type, at, pos, seq, resource_type);
CREATE INDEX event_places_by_resource ON event_places (account_id, realm_id, resource_id, at, pos, seq);

-- Up to where an account deleted its whole history: who reads on from before that is told so.
CREATE TABLE event_resets (
    account_id BYTEA   NOT NULL PRIMARY KEY,
    pos        BIGINT NOT NULL,
    seq        BIGINT NOT NULL
);

INSERT INTO event_head (id, pos, seq, at, swept_pos, swept_seq) VALUES (1, 0, 0, 0, 0, 0);
