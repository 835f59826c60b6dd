import { mutatedBatches } from '../../contract/mutated-batches.ts'

mutatedBatches(3_000)
