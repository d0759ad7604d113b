-- Where a quote's price was read: the feed, on which network, its round, and at which block. NULL where none was, as at par.
ALTER TABLE quotes ADD COLUMN price_network TEXT;
ALTER TABLE quotes ADD COLUMN price_feed TEXT;
ALTER TABLE quotes ADD COLUMN price_round TEXT;
ALTER TABLE quotes ADD COLUMN price_block BIGINT;
