/** How large rows and the records of topics may be. */

/** A row is passed over if its values, as the source has them, are larger. */
export const ROW_CEILING_BYTES = 8_000_000

/**
 * A row is passed over if its key takes more bytes than this, as text: a column's text, or of several the
 * JSON list. It goes along with the row through all topics, and twice into most records.
 */
export const KEY_CEILING_BYTES = 100_000

/**
 * What every topic takes as one record, key and value together. A change holds the row as it was and as it
 * is, and beside them only little; a request its body, its head and what is to be known of its rows.
 */
export const RECORD_CEILING_BYTES = 24_000_000

/**
 * A request is made of fewer rows if its body, its head and what is to be known of its rows take more than
 * this together, and not at all if one row does.
 */
export const REQUEST_CEILING_BYTES = 20_000_000

/** Path and headers of a request: more than any server takes. */
export const HEAD_CEILING_BYTES = 1_000_000

/** A resource, as the JSON that is stored, and a definition, which holds four. */
export const RESOURCE_CEILING_BYTES = 5_000_000
export const DEFINITION_CEILING_BYTES = 4 * RESOURCE_CEILING_BYTES + 1_000

/** A text that says why something went wrong: of a row, of which a request may have many, and of all else. */
export const ROW_ERROR_BYTES = 1_000
export const ERROR_BYTES = 8_000
