/** The sync of the sample project. */
export const SAMPLE_SYNC = 'sample-customers'
