-- Checkpoints are kept by partition and by the symbol's name, and slices are told by a hash of the name, so that they
-- hold for every process. Those of before go over by name. Their slices were told by numbers that a process gave, so the
-- header that all slices get is the one that is true of every symbol: the lowest.

CREATE TABLE checkpoint_sets (
    partition      INTEGER NOT NULL,
    slice          INTEGER NOT NULL,
    covers_through INTEGER NOT NULL,
    context        BLOB NOT NULL,
    checksum       INTEGER,
    PRIMARY KEY (partition, slice, covers_through)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    partition INTEGER NOT NULL,
    symbol    TEXT NOT NULL,
    pos       INTEGER NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (partition, symbol, pos)
) STRICT;

INSERT INTO checkpoints (partition, symbol, pos, bytes)
SELECT 0, name, pos, bytes FROM points JOIN symbols ON symbols.id = points.symbol;

WITH RECURSIVE
    slices (slice) AS (SELECT 0 UNION ALL SELECT slice + 1 FROM slices WHERE slice < 63),
    newest AS (SELECT slice, max(good_to) AS good_to FROM point_sets GROUP BY slice),
    lowest AS (
        SELECT context, point_sets.good_to FROM point_sets JOIN newest USING (slice, good_to)
        WHERE (SELECT count(*) FROM newest) = 64
        ORDER BY point_sets.good_to LIMIT 1
    )
INSERT INTO checkpoint_sets (partition, slice, covers_through, context)
SELECT 0, slices.slice, lowest.good_to, lowest.context FROM slices, lowest;

DROP TABLE points;
DROP TABLE point_sets;
