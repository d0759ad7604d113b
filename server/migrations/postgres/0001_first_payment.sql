-- Every table that grows carries merchant_id first in its key, so that one database can be spread over
-- several machines by merchant. Amounts of tokens are decimal text, dollars are thousandths (BIGINT),
-- flags are 0 or 1, times are epoch seconds unless the column ends in _ms.

CREATE TABLE merchants (
    merchant_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    evm_wallet TEXT NOT NULL,
    recovery_code TEXT NOT NULL,
    frame_origins TEXT NOT NULL,
    next_invoice_sequence BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (merchant_id, key_id)
);
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);

CREATE TABLE idempotency_keys (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    route TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, route, idempotency_key)
);

CREATE TABLE invoices (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    invoice_id TEXT NOT NULL,
    -- What was agreed; never changes, but for canceled_at.
    sequence BIGINT NOT NULL,
    session_hash TEXT NOT NULL,
    environment TEXT NOT NULL,
    due BIGINT NOT NULL,
    description TEXT,
    title TEXT NOT NULL,
    footer TEXT NOT NULL,
    customer_id TEXT,
    customer_email TEXT,
    metadata TEXT NOT NULL,
    questions TEXT,
    return_url TEXT,
    return_url_enabled BIGINT NOT NULL,
    tolerance_basis_points BIGINT NOT NULL,
    tolerance_at_most BIGINT NOT NULL,
    late_days BIGINT,
    late_band_basis_points BIGINT,
    receiver TEXT NOT NULL,
    deposit_salt TEXT NOT NULL,
    deposit_address TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    canceled_at BIGINT,
    -- The result of the fold; written only as that.
    status TEXT NOT NULL,
    credit BIGINT NOT NULL,
    remaining BIGINT NOT NULL,
    overpaid BIGINT NOT NULL,
    late BIGINT NOT NULL,
    paid_at BIGINT,
    last_payment_at BIGINT,
    locked_by TEXT,
    is_checking BIGINT NOT NULL,
    ended_unverified BIGINT NOT NULL,
    -- Rises with every change, also of quotes and confirmations.
    version BIGINT NOT NULL,
    -- The chains are searched for its address until then; NULL until it was first quoted.
    watched_until BIGINT,
    PRIMARY KEY (merchant_id, invoice_id)
);
CREATE UNIQUE INDEX invoices_by_sequence ON invoices (merchant_id, sequence);
CREATE UNIQUE INDEX invoices_by_session ON invoices (session_hash);
CREATE INDEX invoices_by_deposit ON invoices (deposit_address);
CREATE INDEX invoices_watched ON invoices (watched_until) WHERE watched_until IS NOT NULL;
CREATE INDEX invoices_open ON invoices (expires_at) WHERE status IN ('unpaid', 'underpaid');
-- Lists read one of these backwards from where a page starts, however long the list is.
CREATE INDEX invoices_by_created ON invoices (merchant_id, environment, created_ms, invoice_id);
CREATE INDEX invoices_by_status ON invoices (merchant_id, environment, status, created_ms, invoice_id, due);
CREATE INDEX invoices_by_customer ON invoices (merchant_id, environment, customer_id, created_ms, invoice_id);

CREATE TABLE quotes (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    quote_id TEXT NOT NULL,
    network TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    decimals BIGINT NOT NULL,
    rate TEXT NOT NULL,
    amount TEXT NOT NULL,
    covers BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    -- Orders an invoice's quotes, several of which may be of one second.
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, invoice_id, quote_id),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);

CREATE TABLE stream_tokens (
    merchant_id BIGINT NOT NULL,
    token_hash TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, token_hash),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE UNIQUE INDEX stream_tokens_by_hash ON stream_tokens (token_hash);
CREATE INDEX stream_tokens_by_invoice ON stream_tokens (merchant_id, invoice_id, created_ms);
CREATE INDEX stream_tokens_by_expiry ON stream_tokens (expires_at);

-- Facts: what a chain said. A row changes only between canonical and orphaned, and in depth.
CREATE TABLE transfers (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    network TEXT NOT NULL,
    block_hash TEXT NOT NULL,
    tx_id TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    payment_id TEXT NOT NULL,
    token_id BIGINT NOT NULL,
    decimals BIGINT NOT NULL,
    amount TEXT NOT NULL,
    payer TEXT,
    block_number BIGINT NOT NULL,
    block_time BIGINT NOT NULL,
    valuation TEXT NOT NULL,
    quote_id TEXT,
    rate TEXT,
    canonical BIGINT NOT NULL,
    confirmations BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    -- What the last event about this payment said of it; NULL until there was one.
    announced TEXT,
    PRIMARY KEY (merchant_id, network, block_hash, tx_id, log_index),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE INDEX transfers_by_invoice ON transfers (merchant_id, invoice_id);
CREATE INDEX transfers_by_payer ON transfers (merchant_id, LOWER(payer));
CREATE INDEX transfers_by_block ON transfers (network, block_number);
CREATE INDEX transfers_by_depth ON transfers (network, confirmations) WHERE canonical = 1;

CREATE TABLE sweeps (
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    network TEXT NOT NULL,
    block_hash TEXT NOT NULL,
    tx_id TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    token_id BIGINT NOT NULL,
    amount TEXT NOT NULL,
    block_number BIGINT NOT NULL,
    canonical BIGINT NOT NULL,
    confirmations BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, network, block_hash, tx_id, log_index),
    FOREIGN KEY (merchant_id, invoice_id) REFERENCES invoices (merchant_id, invoice_id)
);
CREATE INDEX sweeps_by_invoice ON sweeps (merchant_id, invoice_id);
CREATE INDEX sweeps_by_block ON sweeps (network, block_number);
CREATE INDEX sweeps_by_depth ON sweeps (network, confirmations) WHERE canonical = 1;

-- How far each network has been read, and the blocks a reorganisation can be traced back over.
CREATE TABLE cursors (
    network TEXT PRIMARY KEY,
    block_number BIGINT NOT NULL,
    block_hash TEXT NOT NULL,
    block_time BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE blocks (
    network TEXT NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash TEXT NOT NULL,
    block_time BIGINT NOT NULL,
    PRIMARY KEY (network, block_number)
);

-- The outbox: written with the change it tells of, numbered afterwards so that the log has no gaps.
CREATE TABLE events (
    event_key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    environment TEXT NOT NULL,
    object TEXT NOT NULL,
    previous_attributes TEXT,
    request_id TEXT,
    idempotency_key TEXT,
    created_ms BIGINT NOT NULL,
    sequence BIGINT
);
CREATE UNIQUE INDEX events_by_sequence ON events (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_unnumbered ON events (event_key) WHERE sequence IS NULL;
CREATE INDEX events_by_invoice ON events (merchant_id, invoice_id, sequence);
CREATE INDEX events_by_merchant ON events (merchant_id, sequence);

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0);

CREATE TABLE webhook_endpoints (
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    endpoint_id TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, endpoint_id)
);

-- What is owed to an endpoint; due_ms is NULL once it was delivered or given up.
CREATE TABLE deliveries (
    merchant_id BIGINT NOT NULL,
    endpoint_id TEXT NOT NULL,
    event_key BIGINT NOT NULL,
    invoice_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT,
    first_tried_ms BIGINT,
    last_status BIGINT,
    last_error TEXT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, endpoint_id, event_key),
    FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints (merchant_id, endpoint_id)
);
CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX deliveries_in_order ON deliveries (merchant_id, endpoint_id, invoice_id, event_key) WHERE due_ms IS NOT NULL;
