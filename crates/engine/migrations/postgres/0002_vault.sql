-- The vault. Values are sealed in pieces, so that no statement carries a large one whole.

CREATE TABLE vault_keys (
    id          BYTEA  NOT NULL PRIMARY KEY,
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Empty for keys in no realm.
    realm_id    BYTEA  NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    -- Of the value that is there now; another with each time the key is set.
    value_id    BYTEA  NOT NULL,
    pieces      BIGINT NOT NULL,
    value_bytes BIGINT NOT NULL,
    -- Value and metadata, before sealing.
    size_bytes  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    -- The master key that metadata is sealed under, if there is any.
    key_id      TEXT COLLATE "C",
    metadata    BYTEA,
    UNIQUE (user_id, realm_id, name)
);
CREATE INDEX vault_keys_by_key ON vault_keys (key_id);

CREATE TABLE vault_pieces (
    vault_id BYTEA  NOT NULL REFERENCES vault_keys (id) ON DELETE CASCADE,
    value_id BYTEA  NOT NULL,
    place    BIGINT NOT NULL,
    -- The master key that it is sealed under.
    key_id   TEXT COLLATE "C" NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (vault_id, value_id, place)
);
CREATE INDEX vault_pieces_by_key ON vault_pieces (key_id);

-- What each account's vault holds in all realms: the limit is kept here.
CREATE TABLE vault_usage (
    user_id    BYTEA  NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    size_bytes BIGINT NOT NULL,
    total_keys BIGINT NOT NULL
);
