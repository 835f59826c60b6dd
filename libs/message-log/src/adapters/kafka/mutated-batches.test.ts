import { mutatedBatches } from '../../../test/mutated-batches.ts'

mutatedBatches(3_000)
