-- A checksum over the other columns of its row, so that a reader notices what the disk has changed. Nothing in it: the
-- row was written before there were any, and is taken as it is. Entries and runs carry theirs in the column that ends
-- their rows.

ALTER TABLE meta ADD COLUMN checksum INTEGER;
ALTER TABLE symbols ADD COLUMN checksum INTEGER;
ALTER TABLE sources ADD COLUMN checksum INTEGER;
ALTER TABLE parts ADD COLUMN checksum INTEGER;
ALTER TABLE blocks ADD COLUMN checksum INTEGER;
ALTER TABLE progress ADD COLUMN checksum INTEGER;
ALTER TABLE poison ADD COLUMN checksum INTEGER;
ALTER TABLE point_sets ADD COLUMN checksum INTEGER;

-- Whether the file holds rows from before, so that in all other files a row without a checksum is a damaged one.
INSERT INTO meta (key, value, checksum) SELECT 'unchecked_rows', held, ~held FROM (SELECT EXISTS (SELECT 1 FROM parts) AS held);
