-- How much a fact may be relied on is decided when it is recorded and with every block after, and kept: what the
-- chain calls its blocks counts as well as their depth.
ALTER TABLE transfers ADD COLUMN finality TEXT NOT NULL DEFAULT 'seen';
ALTER TABLE sweeps ADD COLUMN finality TEXT NOT NULL DEFAULT 'seen';
-- Whether more than one endpoint showed it, or one was enough.
ALTER TABLE transfers ADD COLUMN vouched BIGINT NOT NULL DEFAULT 0;
UPDATE transfers SET vouched = 1;
-- What was credited stays so until its network is read again.
UPDATE transfers SET finality = 'paid' WHERE canonical = 1 AND EXISTS (SELECT 1 FROM invoices
    WHERE invoices.merchant_id = transfers.merchant_id AND invoices.invoice_id = transfers.invoice_id
        AND invoices.status IN ('paid', 'underpaid'));

DROP INDEX transfers_by_depth;
CREATE INDEX transfers_not_final ON transfers (network) WHERE canonical = 1 AND finality <> 'final';
CREATE INDEX sweeps_not_final ON sweeps (network) WHERE canonical = 1 AND finality <> 'final';

-- The newest blocks that the chain calls safe and finalized.
ALTER TABLE cursors ADD COLUMN safe_number BIGINT;
ALTER TABLE cursors ADD COLUMN finalized_number BIGINT;

-- Above it, no payment counts on the word of one endpoint alone; NULL is the configuration's.
ALTER TABLE merchants ADD COLUMN single_source_usd_millis BIGINT;
