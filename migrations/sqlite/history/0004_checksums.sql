-- A checksum over the other columns of its row, so that a reader notices what the disk has changed. Nothing in it: the
-- row was written before there were any, and is taken as it is.

ALTER TABLE meta ADD COLUMN checksum INTEGER;
ALTER TABLE symbols ADD COLUMN checksum INTEGER;
ALTER TABLE bars ADD COLUMN checksum INTEGER;
ALTER TABLE indicators ADD COLUMN checksum INTEGER;
ALTER TABLE dead_letters ADD COLUMN checksum INTEGER;
