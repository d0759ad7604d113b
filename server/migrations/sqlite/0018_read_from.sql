-- Its address may have been in the other lane when it was compared: what explains a difference may be in older blocks than
-- the last one at which they agreed.
ALTER TABLE differences RENAME COLUMN agreed_number TO read_from;
