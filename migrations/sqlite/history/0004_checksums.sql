-- A checksum over the other columns of its row, so that a reader notices what the disk has changed. Nothing in it: the
-- row was written before there were any, and is taken as it is.

ALTER TABLE meta ADD COLUMN checksum INTEGER;
ALTER TABLE symbols ADD COLUMN checksum INTEGER;
ALTER TABLE bars ADD COLUMN checksum INTEGER;
ALTER TABLE indicators ADD COLUMN checksum INTEGER;
ALTER TABLE dead_letters ADD COLUMN checksum INTEGER;

-- Whether the file holds rows from before, so that in all other files a bar without a checksum is a damaged one.
INSERT INTO meta (key, value, checksum) SELECT 'unchecked_rows', held, ~held FROM (SELECT EXISTS (SELECT 1 FROM bars) AS held);
