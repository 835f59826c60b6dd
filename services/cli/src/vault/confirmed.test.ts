import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { confirmed } from './confirmed.ts'

describe('a question', () => {
  const { signal } = new AbortController()
  const answered = async (...parts: readonly string[]) => {
    let err = ''
    const stderr = { write: (text: string) => (err += text) }
    const yes = await confirmed('Send it?', { stdin: Readable.from(parts), stderr, signal })
    expect(err).toBe('Send it? [y/N] ')
    return yes
  }

  it('is answered with yes by y and yes alone', async () => {
    for (const yes of ['y\n', 'Y\r\n', ' yes\n', 'YES'])
      expect([yes, await answered(yes)]).toEqual([yes, true])
    for (const no of ['\n', 'n\n', 'yeah\n', 'no y\n', '\u0003'])
      expect([no, await answered(no)]).toEqual([no, false])
    expect(await answered()).toBe(false)
  })
})
