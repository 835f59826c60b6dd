import { describe, expect, it } from 'vitest'
import { loadWhenSending } from './load-when-sending.ts'
import type { HttpSender, OutgoingRequest, SendResult } from './port.ts'

const ANSWER: SendResult = {
  kind: 'answered',
  status: 204,
  headers: {},
  body: '',
  startedAt: 1,
  durationMs: 2,
}
const request: OutgoingRequest = {
  method: 'PUT',
  url: 'http://127.0.0.1/1',
  headers: {},
  body: null,
  timeoutMs: 1_000,
  signal: new AbortController().signal,
}

function watched(): { readonly calls: string[]; readonly load: () => Promise<HttpSender> } {
  const calls: string[] = []
  const sender: HttpSender = {
    send: async ({ url }) => (calls.push(`send ${url}`), ANSWER),
    [Symbol.asyncDispose]: async () => void calls.push('dispose'),
  }
  return { calls, load: async () => (calls.push('load'), sender) }
}

describe('a sender that is loaded when it sends', () => {
  it('loads its client once, however many requests come at once, and hands all of them on', async () => {
    const { calls, load } = watched()
    await using sender = loadWhenSending(load)
    expect(await Promise.all([sender.send(request), sender.send(request)])).toEqual([ANSWER, ANSWER])
    expect(calls).toEqual(['load', `send ${request.url}`, `send ${request.url}`])
  })

  it('disposes its client', async () => {
    const { calls, load } = watched()
    {
      await using sender = loadWhenSending(load)
      await sender.send(request)
    }
    expect(calls.at(-1)).toBe('dispose')
  })

  it('loads nothing where it is disposed without a request', async () => {
    const { calls, load } = watched()
    await loadWhenSending(load)[Symbol.asyncDispose]()
    expect(calls).toEqual([])
  })
})
