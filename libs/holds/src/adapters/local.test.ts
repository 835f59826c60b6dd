import { createLocalHolds } from './local.ts'
import { holdsContract } from '../../test/contract.ts'

holdsContract('local', async () => {
  const holds = createLocalHolds()
  return Promise.resolve({ open: () => holds, [Symbol.asyncDispose]: () => holds[Symbol.asyncDispose]() })
})
