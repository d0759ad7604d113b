-- Events that concern no invoice; several endpoints of a merchant; what was tried and how it went.

-- NULL for what concerns no invoice.
ALTER TABLE events ALTER COLUMN invoice_id DROP NOT NULL;

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

ALTER TABLE deliveries ALTER COLUMN invoice_id DROP NOT NULL;
-- The type it is sent as; an event may be sent as two of the older types.
ALTER TABLE deliveries ADD COLUMN sent_as TEXT;
-- Tries before it was last queued; attempts are those since.
ALTER TABLE deliveries ADD COLUMN earlier_attempts BIGINT NOT NULL DEFAULT 0;
-- The node that is sending it.
ALTER TABLE deliveries ADD COLUMN claimed_by TEXT;
UPDATE deliveries SET sent_as = events.event_type FROM events WHERE events.event_key = deliveries.event_key;
ALTER TABLE deliveries ALTER COLUMN sent_as SET NOT NULL;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_pkey;
ALTER TABLE deliveries ADD PRIMARY KEY (merchant_id, endpoint_id, event_key, sent_as);
-- Each endpoint's own queue, so that a long one is in nobody else's way.
CREATE INDEX deliveries_owed ON deliveries (endpoint_id, due_ms, event_key) WHERE due_ms IS NOT NULL;
CREATE INDEX deliveries_exhausted ON deliveries (merchant_id, endpoint_id, event_key) WHERE state = 'exhausted';
CREATE INDEX deliveries_settled ON deliveries (created_ms) WHERE due_ms IS NULL;

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
