import { mutatedBatches } from '../../contract/mutated-batches.ts'

mutatedBatches(100_000)
