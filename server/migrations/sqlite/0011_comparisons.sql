-- Up to which block a network's deposit addresses held what is recorded of them; a row for open invoices, and one for
-- all others. Of those so many are compared at a time: `after_*` is the last one that was, `round_*` the block at
-- which this round through them began.
CREATE TABLE comparisons (
    network TEXT NOT NULL,
    lane TEXT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash TEXT NOT NULL,
    block_time BIGINT NOT NULL,
    round_number BIGINT,
    round_hash TEXT,
    round_time BIGINT,
    after_merchant_id BIGINT,
    after_invoice_id TEXT,
    PRIMARY KEY (network, lane)
);
-- What was read before went without; invoices must not wait for a comparison that nobody made.
INSERT INTO comparisons (network, lane, block_number, block_hash, block_time)
    SELECT network, 'open', block_number, block_hash, block_time FROM cursors;

-- Addresses that hold something else than is recorded, although the blocks in question were read again.
CREATE TABLE differences (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    network TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    recorded TEXT NOT NULL,
    found TEXT NOT NULL,
    -- The last block at which they agreed.
    agreed_number BIGINT NOT NULL,
    agreed_time BIGINT NOT NULL,
    noticed_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, invoice_id, network, token_id)
);
CREATE INDEX differences_by_network ON differences (network);
