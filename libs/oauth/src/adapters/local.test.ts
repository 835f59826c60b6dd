import { tokenStoreContract } from '../../test/contract.ts'
import { createLocalTokenStore } from './local.ts'

tokenStoreContract('in memory', () => {
  const store = createLocalTokenStore()
  return Promise.resolve({ open: () => store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() })
})
