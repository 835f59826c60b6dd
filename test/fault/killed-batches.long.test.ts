import { killedBatchesSuite } from './killed-batches.ts'

for (let round = 1; round <= 3; round += 1) killedBatchesSuite(10, 3)
