-- What tokens did in each hour of the days that are not over. When a day is, it is put together: one row for
-- each token, in a table of what tokens did (crates/hoody/src/activity/tables.rs).
CREATE TABLE activity_hours (
    day   BIGINT NOT NULL,
    token BLOB   NOT NULL,
    hour  BIGINT NOT NULL,
    -- Of the last block that was counted for it.
    id    BIGINT NOT NULL,
    body  BLOB   NOT NULL,
    PRIMARY KEY (token, hour, id)
);
CREATE INDEX activity_hours_by_day ON activity_hours (day, token, hour, id);
