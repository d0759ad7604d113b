-- What a key opens, and until when. Keys from before could do what the default rights say, and served
-- whichever environment the server had: theirs stays NULL.
ALTER TABLE api_keys ADD COLUMN scope TEXT NOT NULL DEFAULT 'merchant';
ALTER TABLE api_keys ADD COLUMN environment TEXT;
-- Names with a space between them.
ALTER TABLE api_keys ADD COLUMN rights TEXT NOT NULL DEFAULT 'invoices:create invoices:read invoices:cancel settings';
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN suspended_at BIGINT;
ALTER TABLE api_keys ADD COLUMN revoked_reason TEXT;
-- The request that made it, if that had a name; it can never make another.
ALTER TABLE api_keys ADD COLUMN idempotency_key TEXT;
ALTER TABLE api_keys ADD COLUMN fingerprint TEXT;
CREATE UNIQUE INDEX api_keys_by_request ON api_keys (merchant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Bearers of the dashboard, by their hash.
CREATE TABLE dashboard_tokens (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    token_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (merchant_id, token_id)
);
CREATE UNIQUE INDEX dashboard_tokens_by_hash ON dashboard_tokens (hash);
