/**
 * Kinds of values in files, and the types that hold all values of some kinds (R18). DuckDB's own guesses
 * round numbers, cut fractions of seconds, and ignore offsets.
 *
 * Each kind is a bit, so that the kinds of a column add up to one number.
 */

/** The guessed type holds the value. */
const AS_GUESSED = 1
/** A whole number that BIGINT holds and DOUBLE does not. */
const LONG = 2
/** A whole number of at most 38 digits that BIGINT does not hold. */
const HUGE = 4
const WITH_POINT = 8
const WITH_OFFSET = 16
/** DuckDB accepts the value, but changes it. */
export const OTHER = 32
/**
 * DuckDB refuses the value, and the query fails with the line of the value, since the file may be damaged.
 */
export const REFUSED = 64

const WHOLE = '-?(0|[1-9][0-9]{0,37})'
const DECIMAL =
  '-?(0|[1-9][0-9]*)\\.[0-9]*|-?((0|[1-9][0-9]*)(\\.[0-9]*)?|\\.[0-9]+)[eE][-+]?[0-9]+|-?\\.[0-9]+'
const NO_NUMBER = '[-+]?(?i:inf|infinity|nan)'
/** All ways of writing zero. */
const ZERO = '-?[0.]*([eE].*)?'
const OFFSET = '.*:.*([zZ]|[-+][0-9]{2}(:?[0-9]{2})?)'
/** A time with more digits of a second than the six that DuckDB's types hold. */
const FINE = '.*:[0-9]{2}\\.[0-9]{6}0*[1-9].*'
const INSTANT =
  '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?([zZ]|[-+][0-9]{2}(:?[0-9]{2})?)'

/** The check of a column for which DuckDB guessed a type. */
export interface Check {
  /** Returns SQL for the kind of a value. It is NULL for values that are `OTHER` or `REFUSED`. */
  kind(value: string): string
  /** Returns the type that holds values of all these kinds. */
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

/** The kinds of a column in which some times have an offset and others have none. */
const MIXED = AS_GUESSED | WITH_OFFSET

export const CHECKS: { readonly [type: string]: Check } = {
  BIGINT: NUMBER,
  // The type is never narrower than the guess.
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

/** Keeps the guessed type if it prints each value exactly as the file has it. */
function asPrinted(type: 'DATE' | 'TIME'): Check {
  return {
    kind: value =>
      `CASE WHEN CAST(TRY_CAST(${value} AS ${type}) AS VARCHAR) = ${value} THEN ${AS_GUESSED} END`,
    type: kinds => (kinds === AS_GUESSED ? type : 'VARCHAR'),
  }
}

/**
 * The checks for texts in JSON. DuckDB takes 24-01-05 and 01-05-2024 for days. It takes texts for times only
 * if all have the same form, so that one row with an offset would turn all others into texts.
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
