import { describe } from 'vitest'
import { httpSenderContract } from '../contract.ts'
import { connectionsContract } from '../contract/connections.ts'
import { longAnswersContract } from '../contract/long-answers.ts'
import { oddAnswersContract } from '../contract/odd-answers.ts'
import { createUndiciSender } from './undici.ts'

describe('undici', () => {
  httpSenderContract('undici', { open: options => createUndiciSender(options) })
  oddAnswersContract('undici', () => createUndiciSender({ connections: 1 }))
  connectionsContract('undici', options => createUndiciSender({ connections: 2, ...options }))
  longAnswersContract('undici', answers => createUndiciSender({ connections: 40, answers }))
})
