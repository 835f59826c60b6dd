import { killedBatchesSuite } from './killed-batches.ts'

killedBatchesSuite(10, 3)
