-- Gates: what a proxy asks before it lets a request through to another service.
CREATE TABLE gates (
    id         BLOB   NOT NULL PRIMARY KEY,
    user_id    BLOB   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    -- With commas between; the definition has them too.
    hosts      TEXT   NOT NULL,
    -- As in the definition: none, the id of a realm, or a pattern of hosts.
    realm      TEXT   NOT NULL,
    routes     BIGINT NOT NULL,
    -- JSON, with every route.
    definition TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
