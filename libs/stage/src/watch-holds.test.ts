import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import type { Hold, Holds } from '@sluice/holds/port'
import { watchHolds } from './watch-holds.ts'

const never = new AbortController().signal
const free: Hold = { held: true, [Symbol.asyncDispose]: () => Promise.resolve() }

it('a process tells that Redis refuses, or does not answer, and that it does again', async () => {
  const asked = new Notifier()
  let answer: Holds['acquire'] = () => Promise.resolve(free)
  const holds: Holds = {
    trouble: null,
    acquire: (name, options) => {
      asked.notify()
      return answer(name, options)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  await using watch = watchHolds(holds, { everyMs: 1, answerMs: 20 })
  /** Looked at when it is asked again: what came of the time before is known then. */
  const checked = async (): Promise<unknown> => {
    for (let times = 0; times < 2; times += 1) await asked.after(asked.version, { signal: never })
    return watch.check()
  }
  expect(watch.check()).toEqual({ ok: true })
  expect(await checked()).toEqual({ ok: true })
  answer = () => Promise.reject(new SluiceError('unreachable', 'no answer', { retryable: true }))
  await expect.poll(checked).toEqual({ ok: false, detail: 'no answer' })
  answer = () => Promise.resolve(free)
  await expect.poll(checked).toEqual({ ok: true })
  answer = (_, { signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const late = 'Redis has not answered for 20 ms'
  await expect.poll(checked).toEqual({ ok: false, detail: late })
})
