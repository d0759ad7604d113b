-- Where a merchant is paid on Solana, in base58; NULL if it is not.
ALTER TABLE merchants ADD COLUMN solana_wallet TEXT;
-- Where an invoice is paid on Solana; NULL if it cannot be.
ALTER TABLE invoices ADD COLUMN solana_address TEXT;
CREATE INDEX invoices_by_solana_address ON invoices (solana_address, invoice_id) WHERE solana_address IS NOT NULL;

-- On Solana, the account by which a payment is known to be the invoice's: 32 bytes in base58.
ALTER TABLE quotes ADD COLUMN reference TEXT;
-- Whether the merchant's account for the token was missing when the quote was made.
ALTER TABLE quotes ADD COLUMN opens_account BIGINT NOT NULL DEFAULT 0;
CREATE INDEX quotes_by_reference ON quotes (reference) WHERE reference IS NOT NULL;
CREATE INDEX transfers_by_transaction ON transfers (network, tx_id);
CREATE INDEX unattributed_by_signature ON unattributed (network, tx_id);

-- How far each account on Solana was read: everything up to a signature that is final, and that one.
CREATE TABLE solana_cursors (
    network TEXT NOT NULL,
    account TEXT NOT NULL,
    signature TEXT NOT NULL,
    slot BIGINT NOT NULL,
    PRIMARY KEY (network, account)
);
