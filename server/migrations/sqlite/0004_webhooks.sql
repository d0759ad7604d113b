-- Events that concern no invoice; several endpoints of a merchant; what was tried and how it went.

CREATE TABLE events_new (
    event_key INTEGER PRIMARY KEY AUTOINCREMENT,
    merchant_id BIGINT NOT NULL,
    -- NULL for what concerns no invoice.
    invoice_id TEXT,
    event_type TEXT NOT NULL,
    environment TEXT NOT NULL,
    object TEXT NOT NULL,
    previous_attributes TEXT,
    request_id TEXT,
    idempotency_key TEXT,
    created_ms BIGINT NOT NULL,
    sequence BIGINT
);
INSERT INTO events_new (event_key, merchant_id, invoice_id, event_type, environment, object, previous_attributes,
    request_id, idempotency_key, created_ms, sequence)
SELECT event_key, merchant_id, invoice_id, event_type, environment, object, previous_attributes,
    request_id, idempotency_key, created_ms, sequence FROM events;
-- Keys are never given twice, also not those of rows that are gone.
DELETE FROM sqlite_sequence WHERE name = 'events_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'events_new', seq FROM sqlite_sequence WHERE name = 'events';

ALTER TABLE webhook_endpoints ADD COLUMN enabled_events TEXT NOT NULL DEFAULT '["*"]';
-- NULL for both.
ALTER TABLE webhook_endpoints ADD COLUMN environment TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN description TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN api_version TEXT NOT NULL DEFAULT '2025-12-16';
ALTER TABLE webhook_endpoints ADD COLUMN is_active BIGINT NOT NULL DEFAULT 1;
-- 'main' was set by the command line, 'legacy' by the oldest route; there is one of each at most.
ALTER TABLE webhook_endpoints ADD COLUMN role TEXT;
-- Signs beside the current one until previous_until.
ALTER TABLE webhook_endpoints ADD COLUMN previous_secret TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN previous_until BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN disabled_reason TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN disabled_at BIGINT;
-- Since when nothing but failures; NULL after a success.
ALTER TABLE webhook_endpoints ADD COLUMN failing_since_ms BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
-- Gone for everybody; the row and its deliveries are cleared away later, in parts.
ALTER TABLE webhook_endpoints ADD COLUMN deleted_at BIGINT;
UPDATE webhook_endpoints SET updated_at = created_at;
UPDATE webhook_endpoints SET role = 'main' WHERE NOT EXISTS (
    SELECT 1 FROM webhook_endpoints AS other
    WHERE other.merchant_id = webhook_endpoints.merchant_id AND other.endpoint_id < webhook_endpoints.endpoint_id);
CREATE UNIQUE INDEX webhook_endpoints_by_role ON webhook_endpoints (merchant_id, role)
    WHERE role IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX webhook_endpoints_by_id ON webhook_endpoints (endpoint_id);
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE deliveries_new (
    merchant_id BIGINT NOT NULL,
    endpoint_id TEXT NOT NULL,
    event_key BIGINT NOT NULL,
    -- The type it is sent as; an event may be sent as two of the older types.
    sent_as TEXT NOT NULL,
    invoice_id TEXT,
    -- pending, sending, delivered or exhausted; due_ms is NULL for the last two.
    state TEXT NOT NULL,
    -- Tries since it was last queued, and those before that.
    attempts BIGINT NOT NULL,
    earlier_attempts BIGINT NOT NULL DEFAULT 0,
    due_ms BIGINT,
    first_tried_ms BIGINT,
    -- The node that is sending it.
    claimed_by TEXT,
    last_status BIGINT,
    last_error TEXT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, endpoint_id, event_key, sent_as),
    FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints (merchant_id, endpoint_id)
);
INSERT INTO deliveries_new (merchant_id, endpoint_id, event_key, sent_as, invoice_id, state, attempts, due_ms,
    first_tried_ms, last_status, last_error, created_ms)
SELECT merchant_id, endpoint_id, event_key,
    (SELECT event_type FROM events WHERE events.event_key = deliveries.event_key), invoice_id, state, attempts, due_ms,
    first_tried_ms, last_status, last_error, created_ms FROM deliveries;

DROP TABLE deliveries;
ALTER TABLE deliveries_new RENAME TO deliveries;
CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX deliveries_in_order ON deliveries (merchant_id, endpoint_id, invoice_id, event_key) WHERE due_ms IS NOT NULL;
-- Each endpoint's own queue, so that a long one is in nobody else's way.
CREATE INDEX deliveries_owed ON deliveries (endpoint_id, due_ms, event_key) WHERE due_ms IS NOT NULL;
CREATE INDEX deliveries_exhausted ON deliveries (merchant_id, endpoint_id, event_key) WHERE state = 'exhausted';
CREATE INDEX deliveries_settled ON deliveries (created_ms) WHERE due_ms IS NULL;

DROP TABLE events;
ALTER TABLE events_new RENAME TO events;
CREATE UNIQUE INDEX events_by_sequence ON events (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_unnumbered ON events (event_key) WHERE sequence IS NULL;
CREATE INDEX events_by_invoice ON events (merchant_id, invoice_id, sequence);
CREATE INDEX events_by_merchant ON events (merchant_id, sequence);

CREATE TABLE delivery_attempts (
    merchant_id BIGINT NOT NULL,
    endpoint_id TEXT NOT NULL,
    event_key BIGINT NOT NULL,
    sent_as TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    attempted_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    PRIMARY KEY (merchant_id, endpoint_id, event_key, sent_as, ordinal)
);
