/**
 * The tables of the index.
 *
 * - An attempt's id is when it started, in ms, times `SLOTS`, plus a slot that is free. So ids sort by time,
 *   and a range of times is a range of ids.
 * - A `kind` has the fields with few different values: sync, trigger, outcome, status, method. A filter on
 *   these chooses kinds. The answer is the newest attempts of these kinds, merged. So no search reads many
 *   attempts that do not match.
 * - The text of an error is stored once per kind. `error_text` finds any three or more characters in it.
 * - `keyed` has the ids of the attempts of a key, by a hash of sync and key. Two keys may have the same hash.
 * - `figure` counts the attempts of a run by second, outcome and bin of duration.
 */
export const FORMAT = 1
/** Attempts that may start in the same millisecond and still sort by their time. */
export const SLOTS = 2048

export const TABLES = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE life (id INTEGER PRIMARY KEY, sync TEXT NOT NULL, incarnation TEXT NOT NULL,
    UNIQUE (sync, incarnation)) STRICT;
  CREATE TABLE place (id INTEGER PRIMARY KEY, life INTEGER NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
    next INTEGER NOT NULL, UNIQUE (life, topic, part)) STRICT;
  CREATE TABLE run (id INTEGER PRIMARY KEY, life INTEGER NOT NULL, run_id TEXT NOT NULL UNIQUE, number INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
  CREATE INDEX run_by_life ON run (life);
  CREATE TABLE kind (id INTEGER PRIMARY KEY, life INTEGER NOT NULL, trigger TEXT NOT NULL, outcome TEXT NOT NULL,
    status INTEGER NOT NULL, method TEXT NOT NULL, UNIQUE (life, trigger, outcome, status, method)) STRICT;
  CREATE TABLE error (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, hash INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE INDEX error_by_hash ON error (hash, kind);
  CREATE VIRTUAL TABLE error_text USING fts5(
    folded, content='', contentless_delete=1, tokenize='trigram case_sensitive 1');
  CREATE TABLE attempt (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, run INTEGER NOT NULL, part INTEGER NOT NULL,
    seq INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, ms REAL NOT NULL, place_offset INTEGER NOT NULL,
    request_offset INTEGER NOT NULL, error INTEGER, url TEXT NOT NULL, keys TEXT NOT NULL, details BLOB) STRICT;
  CREATE INDEX attempt_by_kind ON attempt (kind, id);
  CREATE INDEX attempt_by_error ON attempt (error, id) WHERE error IS NOT NULL;
  CREATE INDEX attempt_by_request ON attempt (run, seq);
  CREATE TABLE keyed (hash INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (hash, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE mention (id INTEGER PRIMARY KEY, place INTEGER NOT NULL, place_offset INTEGER NOT NULL,
    hash INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE INDEX mention_by_hash ON mention (hash, id);
  CREATE TABLE figure (run INTEGER NOT NULL, second INTEGER NOT NULL, outcome TEXT NOT NULL, bin INTEGER NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (run, second, outcome, bin)) STRICT, WITHOUT ROWID;
  INSERT INTO meta (name, value) VALUES ('format', ${FORMAT}), ('swept', 0);
`
