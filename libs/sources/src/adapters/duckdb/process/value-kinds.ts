/**
 * Kinds of values as they stand in a file, and the types that hold all of them (R18). DuckDB's own guesses
 * round numbers, cut fractions of seconds, and pass over offsets.
 */

/** Kinds of values, as bits. */
const AS_GUESSED = 1
/** A whole number that BIGINT holds and DOUBLE does not. */
const LONG = 2
/** A whole number of at most 38 digits that BIGINT does not hold. */
const HUGE = 4
const WITH_POINT = 8
const WITH_OFFSET = 16
/** DuckDB takes it, and what it makes of it is not what stands there. */
export const OTHER = 32
/** DuckDB takes it for no value of the type, and fails the query with the line: a file may be damaged. */
export const REFUSED = 64

const WHOLE = '-?(0|[1-9][0-9]{0,37})'
const DECIMAL =
  '-?(0|[1-9][0-9]*)\\.[0-9]*|-?((0|[1-9][0-9]*)(\\.[0-9]*)?|\\.[0-9]+)[eE][-+]?[0-9]+|-?\\.[0-9]+'
const NO_NUMBER = '[-+]?(?i:inf|infinity|nan)'
/** Numbers that are zero. */
const ZERO = '-?[0.]*([eE].*)?'
const OFFSET = '.*:.*([zZ]|[-+][0-9]{2}(:?[0-9]{2})?)'
/** More digits of a second than DuckDB's types of microseconds hold. */
const FINE = '.*:[0-9]{2}\\.[0-9]{6}0*[1-9].*'
const INSTANT =
  '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?([zZ]|[-+][0-9]{2}(:?[0-9]{2})?)'

/** By the type that DuckDB guessed: SQL for the kind of a value, and the type that the kinds of all make. */
export interface Check {
  /** Of a value that is not `OTHER` or `REFUSED`. */
  kind(value: string): string
  type(kinds: number): string
}

const NUMBER: Check = {
  kind: value => `CASE WHEN regexp_full_match(${value}, '${WHOLE}') THEN
      CASE WHEN strlen(${value}) <= 15 THEN ${AS_GUESSED} WHEN TRY_CAST(${value} AS BIGINT) IS NULL THEN ${HUGE}
        WHEN CAST(CAST(${value} AS DOUBLE) AS HUGEINT) = CAST(${value} AS HUGEINT) THEN ${AS_GUESSED} ELSE ${LONG} END
    WHEN regexp_full_match(${value}, '${DECIMAL}') THEN
      CASE WHEN isfinite(CAST(${value} AS DOUBLE)) AND (CAST(${value} AS DOUBLE) <> 0 OR regexp_full_match(${value}, '${ZERO}')) THEN ${WITH_POINT} END
    WHEN regexp_full_match(${value}, '${NO_NUMBER}') THEN ${WITH_POINT} END`,
  type(kinds) {
    if ((kinds & OTHER) !== 0) return 'VARCHAR'
    if ((kinds & WITH_POINT) !== 0) return (kinds & (LONG | HUGE)) === 0 ? 'DOUBLE' : 'VARCHAR'
    return (kinds & HUGE) === 0 ? 'BIGINT' : 'HUGEINT'
  },
}

export const NUMBERS: ReadonlySet<string> = new Set(['BIGINT', 'DOUBLE'])
export const TIMES: ReadonlySet<string> = new Set(['DATE', 'TIME', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'])

const TIMESTAMP: Check = {
  kind: value => `CASE WHEN regexp_full_match(${value}, '${FINE}') THEN ${OTHER}
    WHEN NOT regexp_full_match(${value}, '${OFFSET}') THEN ${AS_GUESSED}
    WHEN TRY_CAST(${value} AS TIMESTAMPTZ) IS NOT NULL THEN ${WITH_OFFSET} END`,
  type(kinds) {
    if ((kinds & OTHER) !== 0) return 'VARCHAR'
    return (kinds & WITH_OFFSET) !== 0 ? 'TIMESTAMP WITH TIME ZONE' : 'TIMESTAMP'
  },
}

/** Times with and without an offset. */
const MIXED = AS_GUESSED | WITH_OFFSET

export const CHECKS: { readonly [type: string]: Check } = {
  BIGINT: NUMBER,
  // Never narrower than guessed.
  DOUBLE: { ...NUMBER, type: kinds => (NUMBER.type(kinds) === 'BIGINT' ? 'DOUBLE' : NUMBER.type(kinds)) },
  DATE: {
    kind: value => `CASE WHEN strlen(${value}) <= 10 THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? 'DATE' : 'VARCHAR'),
  },
  TIME: {
    kind: value => `CASE WHEN NOT regexp_full_match(${value}, '${FINE}|${OFFSET}') THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? 'TIME' : 'VARCHAR'),
  },
  TIMESTAMP,
  'TIMESTAMP WITH TIME ZONE': {
    kind: value => `CASE WHEN NOT regexp_full_match(${value}, '${FINE}') THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? 'TIMESTAMP WITH TIME ZONE' : 'VARCHAR'),
  },
  BOOLEAN: {
    kind: value =>
      `CASE WHEN lower(${value}) IN ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n') THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? 'BOOLEAN' : 'VARCHAR'),
  },
}

/** A value that the type prints as it stands, or it is left a text. */
function asPrinted(type: 'DATE' | 'TIME'): Check {
  return {
    kind: value =>
      `CASE WHEN CAST(TRY_CAST(${value} AS ${type}) AS VARCHAR) = ${value} THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? type : 'VARCHAR'),
  }
}

/**
 * For texts of JSON. DuckDB takes 24-01-05 and 01-05-2024 for days. It takes some texts for times only if all
 * are written alike, so that a row with another offset would make texts of all others.
 */
export const CHECKS_OF_TEXTS: { readonly [type: string]: Check } = {
  DATE: asPrinted('DATE'),
  TIME: asPrinted('TIME'),
  TIMESTAMP: { ...TIMESTAMP, type: kinds => (kinds === MIXED ? 'VARCHAR' : TIMESTAMP.type(kinds)) },
  VARCHAR: {
    kind: value =>
      `CASE WHEN regexp_full_match(${value}, '${INSTANT}') AND TRY_CAST(${value} AS TIMESTAMPTZ) IS NOT NULL THEN ${WITH_OFFSET} END`,
    type: kinds => (kinds === WITH_OFFSET ? 'TIMESTAMP WITH TIME ZONE' : 'VARCHAR'),
  },
}
