-- Searches for payments that somebody asked for; an invoice has one at a time, and keeps the last.
CREATE TABLE verifications (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    verification_id TEXT NOT NULL,
    network TEXT NOT NULL,
    tx_id TEXT,
    attempts BIGINT NOT NULL,
    -- When it is looked for again; NULL once it is completed.
    next_ms BIGINT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    completed_ms BIGINT,
    -- Why nothing was found; NULL if something was, or nobody knows yet.
    failure TEXT,
    PRIMARY KEY (merchant_id, invoice_id)
);
CREATE INDEX verifications_due ON verifications (network, next_ms) WHERE next_ms IS NOT NULL;
