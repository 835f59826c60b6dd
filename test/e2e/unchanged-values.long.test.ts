import { unchangedValuesSuite } from './unchanged-values.ts'

/** SLUICE_TEST_ROWS=100000 takes a quarter of an hour. */
unchangedValuesSuite(Number(process.env['SLUICE_TEST_ROWS'] ?? 3_000), 'long')
