/** The promises of every HTTP sender about the memory that answers take. */
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ByteBudget, type ByteShare } from '@sluice/flow/byte-budget'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { HttpSender, OutgoingRequest } from '../src/port.ts'

const MiB = 1024 * 1024

export function longAnswersContract(name: string, open: (answers: ByteShare) => HttpSender): void {
  describe(`the HTTP sender ${name}, with answers that are long`, () => {
    let api: ScriptedApi
    beforeEach(async () => {
      api = await startScriptedApi()
    })
    afterEach(() => api.close())

    const request = (over: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
      method: 'POST',
      url: `${api.url}/rows`,
      headers: {},
      body: null,
      timeoutMs: 20_000,
      bodyLimitBytes: MiB,
      signal: new AbortController().signal,
      ...over,
    })

    it.each([
      ['as they are', {}, Buffer.alloc(MiB - 1, 'x')],
      ['unpacked', { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(MiB - 1, 'x'))],
    ])('reads all of them, %s, and no more at a time than there is room for', async (_how, headers, body) => {
      const budget = new ByteBudget(4 * MiB)
      const answers = watched(budget.open())
      await using sender = open(answers.share)
      api.on({}, { headers, body })
      const results = await Promise.all(Array.from({ length: 40 }, () => sender.send(request())))
      for (const result of results) expect(result).toMatchObject({ kind: 'answered', cut: false })
      const lengths = results.map(result => (result.kind === 'answered' ? result.body.length : 0))
      expect(new Set(lengths)).toEqual(new Set([MiB - 1]))
      // Answers that come one by one, as on a busy machine, never fill the room.
      expect(answers.most()).toBeLessThanOrEqual(4 * MiB)
      expect(answers.most()).toBeGreaterThanOrEqual(MiB)
      expect(budget.takenBytes).toBe(0)
    })

    it('gives back the room of an answer that breaks off, is aborted or takes too long', async () => {
      const budget = new ByteBudget(2 * MiB)
      await using sender = open(budget.open())
      const body = 'x'.repeat(MiB)
      api.on({ url: '/cut' }, { body, fault: 'close-mid-answer' })
      api.on({ url: '/slow' }, { body, fault: 'hang-mid-answer' })
      api.on({ url: '/whole' }, { body })
      const abort = new AbortController()
      const slow = Array.from({ length: 8 }, (_, at) =>
        sender.send(
          request({
            url: `${api.url}/slow`,
            ...(at % 2 === 0 ? { signal: abort.signal } : { timeoutMs: 300 }),
          }),
        ),
      )
      const cut = Array.from({ length: 8 }, () => sender.send(request({ url: `${api.url}/cut` })))
      await api.waitFor(16)
      abort.abort(new Error('no more'))
      await Promise.allSettled([...slow, ...cut])
      expect(budget.takenBytes).toBe(0)
      expect(await sender.send(request({ url: `${api.url}/whole` }))).toMatchObject({ body })
    })

    it('asks for no room for short ones', async () => {
      const budget = new ByteBudget(MiB)
      const share = budget.open()
      share.add(MiB)
      await using sender = open(share)
      api.on({}, { body: 'x'.repeat(8000) })
      expect(await sender.send(request())).toMatchObject({ kind: 'answered', cut: false })
    })
  })
}

/** The same share, and the most that it ever held. */
function watched(share: ByteShare): { readonly share: ByteShare; readonly most: () => number } {
  let most = 0
  const seen = (): void => {
    most = Math.max(most, share.takenBytes)
  }
  return {
    most: () => most,
    share: {
      get takenBytes() {
        return share.takenBytes
      },
      take: (bytes, options) => share.take(bytes, options).then(seen),
      tryTake: bytes => share.tryTake(bytes),
      add: bytes => share.add(bytes),
      give: bytes => {
        seen()
        share.give(bytes)
      },
      [Symbol.dispose]: () => share[Symbol.dispose](),
    },
  }
}
