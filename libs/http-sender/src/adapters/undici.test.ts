import { httpSenderContract } from '../contract.ts'
import { createUndiciSender } from './undici.ts'

httpSenderContract('undici', { open: options => createUndiciSender(options) })
