import { unchangedValuesSuite } from './unchanged-values.ts'

unchangedValuesSuite(Number(process.env['SLUICE_TEST_ROWS'] ?? 100_000), 'long')
