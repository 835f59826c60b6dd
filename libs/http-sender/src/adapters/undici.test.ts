import { httpSenderContract } from '../contract.ts'
import { oddAnswersContract } from '../contract/odd-answers.ts'
import { createUndiciSender } from './undici.ts'

httpSenderContract('undici', { open: options => createUndiciSender(options) })
oddAnswersContract('undici', () => createUndiciSender({ connections: 1 }))
