-- How a merchant's pages look. The logo is a picture in base64, which both engines keep alike; NULL without one.
CREATE TABLE brands (
    merchant_id BIGINT PRIMARY KEY REFERENCES merchants (merchant_id),
    color TEXT,
    radius BIGINT,
    logo_type TEXT,
    logo TEXT,
    -- Names what is here, so that browsers may keep it for ever.
    version TEXT NOT NULL
);
