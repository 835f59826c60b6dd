import { describe, expect, it } from 'vitest'
import { AskedThread } from './asked-thread.ts'

/** It doubles numbers, fills its memory, ends, or says nothing. */
const MAIN = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads'
    parentPort.on('message', question => {
      if (typeof question === 'number') parentPort.postMessage(question * 2)
      if (question === 'end') process.exit(3)
      if (question === 'fill') for (const held = []; ;) held.push(new Array(1000).fill(held.length))
    })
  `)}`,
)
const { signal } = new AbortController()

function thread(): AskedThread<number | string, number> {
  return new AskedThread(MAIN, {
    memory: { maxOldGenerationSizeMb: 16 },
    endOf: (cause, { isTooLarge }) => new Error(isTooLarge ? 'too large' : 'ended', { cause }),
  })
}

describe('a thread that is asked', () => {
  it('answers one question after another', async () => {
    await using asked = thread()
    expect([await asked.ask(1, { signal }), await asked.ask(2, { signal })]).toEqual([2, 4])
  })

  it('is left in the midst of an answer with the reason of the signal', async () => {
    await using asked = thread()
    await asked.ask(1, { signal })
    const abort = new AbortController()
    const silent = asked.ask('nothing', { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(silent).rejects.toThrow('enough')
    expect(asked.ended.aborted).toBe(false)
  })

  it('tells why it ended, and answers nothing more', async () => {
    for (const [question, why] of [
      ['end', 'ended'],
      ['fill', 'too large'],
    ] as const) {
      await using asked = thread()
      await expect(asked.ask(question, { signal })).rejects.toThrow(why)
      await expect(asked.ask(1, { signal })).rejects.toThrow(why)
    }
  })
})
