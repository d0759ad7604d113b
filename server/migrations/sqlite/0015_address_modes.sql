-- Which kind of address payers are given: 'forwarder', 'xpub' or 'direct'. An invoice keeps the mode it was created in.
ALTER TABLE merchants ADD COLUMN address_mode TEXT NOT NULL DEFAULT 'forwarder';
ALTER TABLE invoices ADD COLUMN address_mode TEXT NOT NULL DEFAULT 'forwarder';
-- The number of its address below the extended public key; NULL in other modes.
ALTER TABLE invoices ADD COLUMN address_index BIGINT;

-- An address that payers are given must be no merchant's wallet.
CREATE INDEX merchants_by_wallet ON merchants (evm_wallet);
CREATE INDEX wallet_changes_by_address ON wallet_changes (address);

-- Extended public keys. Numbers are counted for each key and never given twice, whoever uses it.
CREATE TABLE xpubs (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    -- The chain of receiving addresses: one text for all keys with the same addresses.
    xpub TEXT NOT NULL,
    next_index BIGINT NOT NULL,
    -- The one with the highest is used.
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, xpub)
);
CREATE UNIQUE INDEX xpubs_by_key ON xpubs (xpub);

-- Amounts that tell invoices apart that are paid to one wallet.
CREATE TABLE unique_amounts (
    merchant_id BIGINT NOT NULL,
    wallet TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    amount TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    -- Nobody else is told to pay this amount until then, and who pays it is this invoice's payer.
    reserved_until BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, wallet, token_id, amount),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE UNIQUE INDEX unique_amounts_by_wallet ON unique_amounts (wallet, token_id, amount);
CREATE INDEX unique_amounts_by_invoice ON unique_amounts (merchant_id, invoice_id);
CREATE INDEX unique_amounts_by_end ON unique_amounts (reserved_until);

-- Facts: what came to a merchant's wallet and belongs to no invoice, or not yet.
CREATE TABLE unattributed (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    network TEXT NOT NULL,
    block_hash TEXT NOT NULL,
    tx_id TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    -- The same in whatever block the transaction comes to be.
    payment_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    wallet TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    decimals BIGINT NOT NULL,
    amount TEXT NOT NULL,
    payer TEXT,
    block_number BIGINT NOT NULL,
    block_time BIGINT NOT NULL,
    -- What a whole token cost at that block; NULL if nobody can say.
    rate TEXT,
    accepted BIGINT NOT NULL,
    canonical BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, network, block_hash, tx_id, log_index)
);
CREATE INDEX unattributed_by_block ON unattributed (network, block_number);
CREATE INDEX unattributed_in_order ON unattributed (merchant_id, block_time, payment_id);
CREATE INDEX unattributed_by_payment ON unattributed (merchant_id, payment_id);
CREATE INDEX unattributed_by_transaction ON unattributed (merchant_id, network, tx_id);
CREATE INDEX unattributed_by_time ON unattributed (block_time);

-- Payments of a wallet that its merchant said belong to an invoice. Each counts once.
CREATE TABLE attachments (
    merchant_id BIGINT NOT NULL,
    payment_id TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    attached_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, payment_id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
