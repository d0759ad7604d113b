-- Whether new invoices are paid on Solana to the merchant's wallet ('wallet') or to addresses of a list ('list').
ALTER TABLE merchants ADD COLUMN solana_mode TEXT NOT NULL DEFAULT 'wallet';
-- Whether what an invoice is paid to on Solana is its own alone.
ALTER TABLE invoices ADD COLUMN solana_is_own BIGINT NOT NULL DEFAULT 0;

-- Addresses that a merchant derived from keys of its own. Each is one invoice's for good.
CREATE TABLE solana_addresses (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    address TEXT NOT NULL,
    -- They are given in this order.
    ordinal BIGINT NOT NULL,
    -- NULL until it is given.
    invoice_id TEXT,
    PRIMARY KEY (merchant_id, address)
);
CREATE UNIQUE INDEX solana_addresses_by_address ON solana_addresses (address);
CREATE INDEX solana_addresses_free ON solana_addresses (merchant_id, ordinal) WHERE invoice_id IS NULL;
