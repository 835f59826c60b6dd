import { createLocalLocks } from './local.ts'
import { locksContract } from '../../test/contract.ts'

locksContract('local', async () => {
  const locks = createLocalLocks()
  return Promise.resolve({ open: () => locks, [Symbol.asyncDispose]: () => locks[Symbol.asyncDispose]() })
})
