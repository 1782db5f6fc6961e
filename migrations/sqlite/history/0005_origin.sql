-- What a bar is made of. Nothing in it: trades, as in all rows of before, whose checksums stay as they are. 1: bars that a
-- venue gave ready-made; 2: quotes.

ALTER TABLE bars ADD COLUMN origin INTEGER;
