import { mutatedBatches } from '../../../test/mutated-batches.ts'

mutatedBatches(100_000)
