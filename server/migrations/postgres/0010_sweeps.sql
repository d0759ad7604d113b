-- What a sweep left where it was: the last time for each token of an invoice, until a sweep takes it.
CREATE TABLE sweep_failures (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    network TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    tx_id TEXT NOT NULL,
    block_number BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    failed_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, invoice_id, network, token_id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE INDEX sweep_failures_by_block ON sweep_failures (network, block_number);

-- Transactions of the gas-only key. A row is written before its transaction is sent, and says what that may cost at
-- most until it is known what it did cost. Amounts are wei, as decimal text.
CREATE TABLE sweep_transactions (
    network TEXT NOT NULL,
    account TEXT NOT NULL,
    nonce BIGINT NOT NULL,
    -- 'open' until it is known what became of it; then 'mined', 'failed' (mined, and undone), or 'lost'.
    state TEXT NOT NULL,
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    -- With commas.
    invoices TEXT NOT NULL,
    calldata TEXT NOT NULL,
    gas_limit BIGINT NOT NULL,
    max_fee TEXT NOT NULL,
    priority_fee TEXT NOT NULL,
    -- Of each time it was sent with another fee, the last one last; with commas.
    hashes TEXT NOT NULL,
    reserved TEXT NOT NULL,
    -- NULL while it is open.
    spent TEXT,
    -- The day, by UTC, that it was spent on: how many days since 1970.
    spent_on BIGINT,
    block_number BIGINT,
    -- When it was last given a fee.
    priced_ms BIGINT NOT NULL,
    PRIMARY KEY (network, account, nonce)
);
CREATE UNIQUE INDEX sweep_transactions_open ON sweep_transactions (network, account) WHERE state = 'open';
CREATE INDEX sweep_transactions_by_day ON sweep_transactions (network, spent_on);
