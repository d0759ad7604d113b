-- Records of idempotency keys are removed by age.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The invoices that somebody paid, and those that were paid by a network, in the order of lists. A row says that
-- such a transfer was seen once; whether one still counts is asked of the transfers.
CREATE TABLE invoice_payers (
    merchant_id BIGINT NOT NULL,
    -- In lower case.
    payer TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, payer, created_ms, invoice_id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE TABLE invoice_networks (
    merchant_id BIGINT NOT NULL,
    network TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, network, created_ms, invoice_id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);

INSERT INTO invoice_payers (merchant_id, payer, created_ms, invoice_id)
SELECT DISTINCT transfers.merchant_id, LOWER(transfers.payer), invoices.created_ms, transfers.invoice_id
FROM transfers
JOIN invoices ON invoices.merchant_id = transfers.merchant_id AND invoices.invoice_id = transfers.invoice_id
WHERE transfers.payer IS NOT NULL;
INSERT INTO invoice_networks (merchant_id, network, created_ms, invoice_id)
SELECT DISTINCT transfers.merchant_id, transfers.network, invoices.created_ms, transfers.invoice_id
FROM transfers
JOIN invoices ON invoices.merchant_id = transfers.merchant_id AND invoices.invoice_id = transfers.invoice_id;
