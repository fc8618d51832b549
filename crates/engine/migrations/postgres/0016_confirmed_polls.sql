-- When the node's last poll of the feed was sent that a database which takes writes answered; NULL where a node
-- does not say.
ALTER TABLE nodes ADD COLUMN confirmed_at BIGINT;
