-- Several nodes on one database: which there are, and which of them does what only one may do. Times are the
-- database's own, in milliseconds: the nodes' clocks may differ.

CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    -- A node that has not said anything by then is taken for dead.
    alive_until_ms BIGINT NOT NULL
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    -- NULL when it was given back.
    holder TEXT,
    -- Rises each time it is taken, and never falls. What a holder writes is refused once this is not its own term.
    term BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    -- Since when the holder cannot do what it holds this for: NULL while it can, 0 if it has given up.
    impaired_ms BIGINT
);
