-- Tokens of one customer, the latest first.
CREATE INDEX tokens_by_external_id ON tokens (user_id, external_id, created_at, id) WHERE external_id IS NOT NULL;
