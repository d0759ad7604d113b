-- What a merchant sets for itself, and nodes added beside the operator's own.

-- Which tokens it takes; those it blocked are in blocked_tokens.
ALTER TABLE merchants ADD COLUMN acceptance_policy TEXT NOT NULL DEFAULT 'accept_all';
-- Where payers go afterwards, unless their invoice says something else.
ALTER TABLE merchants ADD COLUMN return_url TEXT;
-- The token it would like best; NULL for the server's own choice.
ALTER TABLE merchants ADD COLUMN settlement_token_id BIGINT;
ALTER TABLE merchants ADD COLUMN settlement_chosen_at BIGINT;

CREATE TABLE blocked_tokens (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    token_id BIGINT NOT NULL,
    blocked_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, token_id)
);

-- Wallets after the one a merchant began with (merchants.evm_wallet). Of those that were not canceled, the one
-- that took effect last is in force; nothing has to be written for that.
CREATE TABLE wallet_changes (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    wallet_id TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    canceled_at BIGINT,
    -- When its taking effect was told; NULL until then.
    announced_at BIGINT,
    -- Orders a merchant's wallets, several of which may be of one second.
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, wallet_id)
);
CREATE UNIQUE INDEX wallet_changes_in_order ON wallet_changes (merchant_id, ordinal);
CREATE INDEX wallet_changes_untold ON wallet_changes (effective_at) WHERE canceled_at IS NULL AND announced_at IS NULL;

-- Nodes that are asked when the operator's own cannot be.
CREATE TABLE rpc_endpoints (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    endpoint_id TEXT NOT NULL,
    network TEXT NOT NULL,
    url TEXT NOT NULL,
    -- Block 0 as the operator's own nodes told it, and this one too when it was added.
    genesis TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, endpoint_id)
);
CREATE UNIQUE INDEX rpc_endpoints_by_url ON rpc_endpoints (merchant_id, network, url);
