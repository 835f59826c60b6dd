/** The largest sizes of rows, and of the records of topics. */

/** The largest row, by its values as the source has them. A run skips a larger row. */
export const ROW_CEILING_BYTES = 8_000_000

/**
 * The largest key, as text: a column's text, or the JSON list of several columns. A run skips a row with a
 * larger key. The key goes with the row through all topics, and twice into most records.
 */
export const KEY_CEILING_BYTES = 100_000

/**
 * The largest record that every topic takes, key and value together. A change has the row before and after,
 * and little else. A request has its body, its head and the facts about its rows.
 */
export const RECORD_CEILING_BYTES = 24_000_000

/**
 * The limit of a request's body, head and facts about its rows together. A larger request is made of fewer
 * rows. A single row that needs more gets no request.
 */
export const REQUEST_CEILING_BYTES = 20_000_000

/** The limit of a request's path and headers together, which is more than any server takes. */
export const HEAD_CEILING_BYTES = 1_000_000

/** The largest file that a resource names, such as a certificate, and the largest secret of the vault. */
export const FILE_CEILING_BYTES = 10_000_000

/** The largest resource, as stored JSON with the files that it names. */
export const RESOURCE_CEILING_BYTES = 11_000_000

/**
 * The largest definition, as stored JSON. It has four resources in it, and two of them may be the largest.
 */
export const DEFINITION_CEILING_BYTES = 2 * RESOURCE_CEILING_BYTES + 500_000

/**
 * The longest YAML that is kept beside a stored resource, in characters. The comments of a longer one are
 * lost, since several versions of it would be kept.
 */
export const KEPT_TEXT_CHARACTERS = 200_000

/**
 * The longest texts that say why something went wrong: one for a row, since a request may have many rows, and
 * one for all else.
 */
export const ROW_ERROR_BYTES = 1_000
export const ERROR_BYTES = 8_000
