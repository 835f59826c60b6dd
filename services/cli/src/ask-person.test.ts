import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { TextSource } from './command.ts'
import { confirmed, readSecret } from './ask-person.ts'

const { signal } = new AbortController()

/** A terminal on which these texts are typed. It notes when it is raw. */
function terminal(...typed: readonly string[]): TextSource & { readonly modes: boolean[] } {
  const modes: boolean[] = []
  const source = Readable.from(typed.map(text => Buffer.from(text)))
  return {
    isTTY: true,
    modes,
    setRawMode: raw => modes.push(raw),
    [Symbol.asyncIterator]: () => source[Symbol.asyncIterator](),
  }
}
const read = async (stdin: TextSource): Promise<{ value: string; shown: string }> => {
  let shown = ''
  const value = await readSecret(stdin, { text: 'Value', stderr: { write: text => (shown += text) }, signal })
  return { value, shown }
}

describe('a value', () => {
  it.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['a\nb\n\n', 'a\nb\n'],
    [' spaced ', ' spaced '],
    ['é✓', 'é✓'],
  ])('on stdin is read to its end: %j', async (given, value) => {
    const bytes = [...Buffer.from(given)].map(byte => Buffer.from([byte]))
    expect(await read(Readable.from(bytes))).toEqual({ value, shown: '' })
  })

  it('typed on a terminal is shown nowhere', async () => {
    const stdin = terminal('sec', 'rex', '\u007f', 't\r', 'more')
    expect(await read(stdin)).toEqual({ value: 'secret', shown: 'Value: \n' })
    expect(stdin.modes).toEqual([true, false])
  })

  it('is not taken from a person who interrupts, and the terminal is as it was', async () => {
    const stdin = terminal('sec\u0003')
    await expect(read(stdin)).rejects.toMatchObject({ code: 'aborted' })
    expect(stdin.modes).toEqual([true, false])
  })

  it('that is empty or too long is refused', async () => {
    await expect(read(Readable.from([]))).rejects.toThrow('No value was given')
    await expect(read(terminal('\r'))).rejects.toThrow('No value was given')
    await expect(read(Readable.from(['x'.repeat(10_000_001)]))).rejects.toThrow('longer than')
  })
})

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
