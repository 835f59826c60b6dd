import { mutatedBatches } from '../../contract/mutated-batches.ts'

mutatedBatches(300_000)
