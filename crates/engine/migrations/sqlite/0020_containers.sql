-- Containers, their snapshots, and whether terminals answer without a credential.

CREATE TABLE containers (
    id                 BLOB    NOT NULL PRIMARY KEY,
    project_id         BLOB    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    -- The project's owner.
    user_id            BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The name of the server that runs it.
    server             TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    color              TEXT    NOT NULL,
    comment            TEXT,
    image              TEXT    NOT NULL,
    ssh_public_key     TEXT,
    ai                 BOOLEAN NOT NULL,
    hoody_kit          BOOLEAN NOT NULL,
    dev_kit            BOOLEAN NOT NULL,
    autostart          BOOLEAN NOT NULL,
    ramdisk            BOOLEAN NOT NULL,
    ramdisk_scope      TEXT    NOT NULL,
    -- Sealed JSON.
    environment        BLOB    NOT NULL,
    -- 'creating', 'running', 'stopped', 'failed' or 'deleting'
    status             TEXT    NOT NULL,
    status_reason      TEXT,
    -- What the server has to do: 'create', 'start', 'stop', 'force-stop', 'restart', 'restore' or 'delete'.
    task               TEXT,
    -- Names the last task; a task that was replaced meanwhile changes nothing at its end.
    operation          BLOB    NOT NULL,
    task_since         BIGINT  NOT NULL,
    -- The snapshot of the task 'restore'.
    task_snapshot      TEXT,
    last_used_snapshot TEXT,
    -- 'allow' or 'deny'
    proxy_default      TEXT,
    created_at         BIGINT  NOT NULL,
    updated_at         BIGINT  NOT NULL
);
CREATE UNIQUE INDEX containers_by_name ON containers (project_id, name);
CREATE UNIQUE INDEX containers_by_ssh_key ON containers (ssh_public_key) WHERE ssh_public_key IS NOT NULL;
CREATE INDEX containers_by_project ON containers (project_id, created_at, id);
CREATE INDEX containers_by_user ON containers (user_id);
CREATE INDEX containers_by_server ON containers (server);
CREATE INDEX containers_by_task ON containers (server, task_since) WHERE task IS NOT NULL;

CREATE TABLE container_realms (
    container_id BLOB   NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    realm_id     BLOB   NOT NULL,
    place        BIGINT NOT NULL,
    PRIMARY KEY (container_id, realm_id)
);

CREATE TABLE container_snapshots (
    id           BLOB   NOT NULL PRIMARY KEY,
    container_id BLOB   NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    alias        TEXT,
    -- The engine's id; null until the image is written.
    image        TEXT,
    size         BIGINT,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT
);
CREATE UNIQUE INDEX container_snapshots_by_name ON container_snapshots (container_id, name);
CREATE INDEX container_snapshots_by_expiry ON container_snapshots (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE project_proxies (
    project_id    BLOB   NOT NULL PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    -- 'allow' or 'deny'
    proxy_default TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL
);
