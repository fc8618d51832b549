-- Who made which tokens: a subtree is found by it, and what a token made is counted.
CREATE INDEX tokens_by_creator ON tokens (created_by_token_id, expires_at) WHERE created_by_token_id IS NOT NULL;
