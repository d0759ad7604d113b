-- How much a fact may be relied on is decided when it is recorded and with every block after, and kept: what the
-- chain calls its blocks counts as well as their depth.
ALTER TABLE transfers ADD COLUMN finality TEXT NOT NULL DEFAULT 'seen';
ALTER TABLE sweeps ADD COLUMN finality TEXT NOT NULL DEFAULT 'seen';
-- Whether more than one endpoint showed it, or one was enough.
ALTER TABLE transfers ADD COLUMN vouched BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN vouched BIGINT NOT NULL DEFAULT 0;
-- What the last event said of a payment stays so until its network is read again: that it counted, and that a sweep
-- settled it. All else is judged when its network is read.
UPDATE transfers SET finality = 'paid', vouched = 1
    WHERE canonical = 1 AND (announced LIKE '%"status":"confirmed"%' OR announced LIKE '%"status":"underpaid"%');
UPDATE sweeps SET finality = 'final', vouched = 1
    WHERE canonical = 1 AND EXISTS (SELECT 1 FROM transfers
        WHERE transfers.merchant_id = sweeps.merchant_id AND transfers.invoice_id = sweeps.invoice_id
            AND transfers.network = sweeps.network AND transfers.token_id = sweeps.token_id
            AND transfers.announced LIKE '%"settlement_status":"settled"%'
            AND transfers.announced LIKE '%"' || sweeps.tx_id || '"%');

DROP INDEX transfers_by_depth;
DROP INDEX sweeps_by_depth;
CREATE INDEX transfers_not_final ON transfers (network) WHERE canonical = 1 AND finality <> 'final';
CREATE INDEX sweeps_not_final ON sweeps (network) WHERE canonical = 1 AND finality <> 'final';

-- Above it, no payment counts on the word of one endpoint alone; NULL is the configuration's.
ALTER TABLE merchants ADD COLUMN single_source_usd_millis BIGINT;
