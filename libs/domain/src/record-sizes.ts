/** How large rows and the records of topics may be. */

/** A row is passed over if its values, as the source has them, are larger. */
export const ROW_CEILING_BYTES = 8_000_000

/**
 * What a topic of a sync takes as one record, or as one append of several. A change holds the row as it was
 * and as it is, and beside them only little.
 */
export const RECORD_CEILING_BYTES = 24_000_000
