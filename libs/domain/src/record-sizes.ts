/** How large rows and the records of topics may be. */

/** The largest row, by its values as the source has them. A run passes over a larger one. */
export const ROW_CEILING_BYTES = 8_000_000

/**
 * The largest key, as text: a column's text, or the JSON list of several columns. A run passes over a row
 * with a larger one. The key goes with the row through all topics, and twice into most records.
 */
export const KEY_CEILING_BYTES = 100_000

/**
 * The largest record that every topic takes, key and value together. A change holds the row as it was and as
 * it is, and little else. A request holds its body, its head and what is known of its rows.
 */
export const RECORD_CEILING_BYTES = 24_000_000

/**
 * The most that body, head and what is known of its rows may take together in a request. With more, a request
 * is made of fewer rows. A single row that needs more gets no request.
 */
export const REQUEST_CEILING_BYTES = 20_000_000

/** The most that path and headers of a request may take: more than any server takes. */
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
 * The longest YAML that is kept beside a stored resource, in characters. Of a longer one the comments are
 * lost: each of its last versions would be kept with it.
 */
export const KEPT_TEXT_CHARACTERS = 200_000

/**
 * The longest texts that say why something went wrong: one for a row, since a request may have many rows, and
 * one for all else.
 */
export const ROW_ERROR_BYTES = 1_000
export const ERROR_BYTES = 8_000
