import { mutatedBatches } from '../../../test/mutated-batches.ts'

mutatedBatches(40_000)
