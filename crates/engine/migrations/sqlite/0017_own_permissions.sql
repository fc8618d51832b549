-- The operator's own permissions. One row: which state of the catalogue this is.
CREATE TABLE own_catalogue (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO own_catalogue (id, version) VALUES (1, 0);

-- Removed leaves stay, so that nothing else gets their number or their path.
CREATE TABLE own_permissions (
    id          BIGINT  NOT NULL PRIMARY KEY,
    path        TEXT    NOT NULL UNIQUE,
    writes      BOOLEAN NOT NULL,
    description TEXT    NOT NULL,
    -- live, retired or removed.
    state       TEXT    NOT NULL,
    since       BIGINT  NOT NULL
);

-- The names that leaves had before.
CREATE TABLE own_permission_aliases (
    path          TEXT   NOT NULL PRIMARY KEY,
    permission_id BIGINT NOT NULL
);

CREATE TABLE own_templates (
    name        TEXT   NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL,
    description TEXT   NOT NULL,
    -- Paths of hoody's own leaves, joined by commas.
    permissions TEXT   NOT NULL,
    -- Numbers of the operator's leaves, joined by commas.
    own_permissions TEXT NOT NULL
);

-- The operator's leaves of a token: numbers, and groups that grow as orders.**, joined by commas.
ALTER TABLE tokens ADD COLUMN own_permissions TEXT NOT NULL DEFAULT '';
-- What the operator's service calls the one whom the token is for.
ALTER TABLE tokens ADD COLUMN external_id TEXT;
-- A JSON object of the service's; never public.
ALTER TABLE tokens ADD COLUMN meta TEXT;
-- A JSON array of texts.
ALTER TABLE tokens ADD COLUMN tags TEXT;
ALTER TABLE tokens ADD COLUMN description TEXT;
-- The last characters of the secret; NULL until it is next read.
ALTER TABLE tokens ADD COLUMN hint TEXT;
-- A JSON object that bounds the grants which a guard key is handed.
ALTER TABLE tokens ADD COLUMN speaks_for TEXT;
