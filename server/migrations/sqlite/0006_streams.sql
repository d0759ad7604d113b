-- Short-lived tokens that open a merchant's stream, by their hash. Whose they are and what they open is the
-- credential's that asked for them.
CREATE TABLE merchant_stream_tokens (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    token_hash TEXT NOT NULL,
    credential TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, token_hash)
);
CREATE UNIQUE INDEX merchant_stream_tokens_by_hash ON merchant_stream_tokens (token_hash);
CREATE INDEX merchant_stream_tokens_by_expiry ON merchant_stream_tokens (expires_at);

-- Up to which number events of a merchant may be gone for their age.
CREATE TABLE pruned_events (
    merchant_id BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    sequence BIGINT NOT NULL
);

-- Lists of one kind read the first backwards from where a page starts; those of a time find it in the second.
CREATE INDEX events_by_kind ON events (merchant_id, environment, event_type, sequence);
CREATE INDEX events_by_created ON events (merchant_id, created_ms, sequence);
