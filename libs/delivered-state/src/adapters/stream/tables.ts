/**
 * The tables of a state by key, in a SQLite file. Keys are blobs of UTF-8, so that their order is that of
 * bytes.
 */

/** The version of the tables and of the codes in them. */
export const STREAM_FORMAT = '2'

/**
 * `keys` has a row for each known key. Its small columns come first, so that they are read without the rows.
 *
 * - `run`, `slice`, `seq`: the last change; null if an entry or captured values alone tell of the key.
 * - `outcome`: null for a settled change.
 * - `uncertain_since`: the time of the change, if it left the row uncertain, and not muted for the op that it
 *   needs.
 * - `open`: `ENTERED` if its partition has a retry entry of it, `UNCERTAIN` if its row is uncertain, else 0.
 * - `due`: the time of the entry, or `uncertain_since`.
 * - `wanted_shape`: null if the source has no row, `SAME_ROW` if it has that of `content`.
 *
 * In `entries`, an entry for a change that a run lost track of (`lost`) counts before the one of the topic.
 * `forms` has the keys that are not their own form.
 *
 * Tables that hold rows have a rowid. Without one, SQLite would read the whole row of each key that a look-up
 * passes, and one row of 1 MB would take milliseconds of each look-up.
 */
export const TABLES = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE positions (
    number INTEGER PRIMARY KEY, changes INTEGER NOT NULL, retry INTEGER NOT NULL, captured INTEGER NOT NULL,
    last_offset INTEGER, last_run INTEGER, last_seq INTEGER) STRICT;
  CREATE TABLE totals (believed INTEGER NOT NULL, failed INTEGER NOT NULL, epoch INTEGER NOT NULL) STRICT;
  INSERT INTO totals VALUES (0, 0, 0);
  CREATE TABLE shapes (id INTEGER PRIMARY KEY, columns TEXT NOT NULL) STRICT;
  CREATE TABLE keys (
    key BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, partition INTEGER NOT NULL,
    run INTEGER, slice INTEGER, seq INTEGER, outcome INTEGER, uncertain_since INTEGER,
    open INTEGER NOT NULL, due INTEGER, has_captured INTEGER NOT NULL,
    epoch INTEGER NOT NULL, log_order TEXT NOT NULL, muted TEXT,
    shape INTEGER, wanted_shape INTEGER, content TEXT, wanted TEXT) STRICT;
  CREATE INDEX keys_due ON keys (due) WHERE due IS NOT NULL;
  CREATE INDEX keys_open ON keys (key) WHERE open > 0;
  CREATE TABLE forms (form BLOB, key BLOB, PRIMARY KEY (form, key)) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (
    key BLOB, partition INTEGER, lost INTEGER, run INTEGER NOT NULL, seq INTEGER NOT NULL,
    outcome INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER, since INTEGER NOT NULL, reason TEXT NOT NULL,
    entry TEXT NOT NULL, UNIQUE (key, partition, lost)) STRICT;
  CREATE TABLE captured (
    key BLOB, partition INTEGER, run INTEGER NOT NULL, seq INTEGER NOT NULL, content TEXT NOT NULL,
    UNIQUE (key, partition)) STRICT;
  CREATE TABLE gone (
    key BLOB, partition INTEGER, since INTEGER NOT NULL, PRIMARY KEY (key, partition)) STRICT, WITHOUT ROWID;
  CREATE INDEX gone_since ON gone (since);
`

/** In `wanted_shape`: the source has the row of `content`. */
export const SAME_ROW = -1

/** Values of `open`. */
export const UNCERTAIN = 1
export const ENTERED = 2
