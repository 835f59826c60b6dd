import { deliveredStateLongContract } from '../contract.ts'
import { duckdbHarness } from '../contract/duckdb-harness.ts'

const harness = duckdbHarness()

deliveredStateLongContract('duckdb', () => harness)
