-- What came while its price could not be had.
CREATE INDEX transfers_without_price ON transfers (block_time) WHERE valuation = 'unpriced' AND canonical = 1;
