import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { isLoopback } from '@sluice/contracts/specs/http-texts'
import { Gate, type Access, type Caller } from './access.ts'
import type { Scope } from './route.ts'

const { signal } = new AbortController()
const CALLER: Caller = {
  method: 'GET',
  address: '127.0.0.1',
  host: 'localhost:4747',
  origin: undefined,
  fetchSite: undefined,
  authorization: undefined,
  cookie: undefined,
}
const TOKENS: Access = { kind: 'tokens', tokens: { write: 'write-token-0123', read: 'read-token-0123' } }
const LOOPBACK: Access = { kind: 'loopback', host: '127.0.0.1' }

/** The status of the refusal; 200 without one. */
async function asked(access: Access, caller: Partial<Caller>, scope: Scope = 'read'): Promise<number> {
  const gate = new Gate(access, { badLoginMs: 1 })
  return await gate.admit({ ...CALLER, ...caller }, scope, { signal }).then(
    () => 200,
    (error: { status?: number }) => error.status ?? 500,
  )
}

describe('with tokens', () => {
  it.each([
    ['no token', undefined, 'read', 401],
    ['another scheme', 'Basic d3JpdGUtdG9rZW4tMDEyMw==', 'read', 401],
    ['a wrong token', 'Bearer write-token-0124', 'read', 401],
    ['a beginning of a token', 'Bearer write-token', 'read', 401],
    ['the token for reading, to read', 'Bearer read-token-0123', 'read', 200],
    ['the token for writing, to read', 'Bearer write-token-0123', 'read', 200],
    ['the token for writing, to write', 'bearer  write-token-0123 ', 'write', 200],
  ] as const)('answers %s', async (_what, authorization, scope, status) => {
    expect(await asked(TOKENS, { authorization }, scope)).toBe(status)
  })

  it('takes no empty token where there is none for writing', async () => {
    const access: Access = { kind: 'tokens', tokens: { write: null, read: 'read-token-0123' } }
    expect(await asked(access, { authorization: 'Bearer ' }, 'write')).toBe(401)
    expect(await asked(access, { authorization: 'Bearer null' }, 'write')).toBe(401)
  })

  describe('some of which are wrong', () => {
    const guess = { ...CALLER, authorization: 'Bearer guess' }
    const right = { ...CALLER, authorization: 'Bearer write-token-0123' }
    const admitted = (gate: Gate, caller: Caller): Promise<unknown> =>
      gate.admit(caller, 'read', { signal }).then(
        ({ name }) => name,
        (error: { status?: number }) => error.status ?? 500,
      )
    let gate: Gate
    beforeEach(() => {
      vi.useFakeTimers()
      gate = new Gate(TOKENS, { badLoginMs: 20_000 })
    })
    afterEach(() => vi.useRealTimers())

    it('ignores an address for a while after five guesses, and serves all others', async () => {
      const guesses = Array.from({ length: 5 }, () => admitted(gate, guess))
      expect(await admitted(gate, guess)).toBe(429)
      expect(await admitted(gate, right)).toBe(429)
      expect(await admitted(gate, { ...right, address: '10.0.0.7' })).toBe('operator')
      await vi.advanceTimersByTimeAsync(20_000)
      expect(await Promise.all(guesses)).toEqual([401, 401, 401, 401, 401])
      expect(await admitted(gate, right)).toBe('operator')
    })

    it('accepts a token that it has seen at an address, whatever others guess there', async () => {
      expect(await admitted(gate, right)).toBe('operator')
      const guesses = Array.from({ length: 5 }, () => admitted(gate, guess))
      expect(await admitted(gate, right)).toBe('operator')
      expect(await admitted(gate, { ...right, authorization: 'Bearer read-token-0123' })).toBe(429)
      await vi.advanceTimersByTimeAsync(20_000)
      await Promise.all(guesses)
    })

    it('counts a guess of a client that has gone away', async () => {
      const gone = new AbortController()
      const guesses = Array.from({ length: 5 }, () =>
        gate.logIn(CALLER, 'guess', { signal: gone.signal }).catch(() => undefined),
      )
      gone.abort(new Error('the client is gone'))
      await Promise.all(guesses)
      expect(await admitted(gate, guess)).toBe(429)
    })

    it('accepts a right token however many networks guess', async () => {
      const guesses = Array.from({ length: 600 }, (_, index) =>
        admitted(gate, { ...guess, address: `10.0.${index >> 8}.${index % 256}` }),
      )
      expect(await admitted(gate, right)).toBe('operator')
      await vi.advanceTimersByTimeAsync(20_000)
      const answers = await Promise.all(guesses)
      expect(answers.filter(answer => answer === 401)).toHaveLength(500)
      expect(answers.filter(answer => answer === 429)).toHaveLength(100)
    })
  })
})

describe('without a token', () => {
  it.each([
    ['its own name', { host: 'localhost:4747' }, 200],
    ['its address', { host: '127.0.0.1:4747' }, 200],
    ['its address in IPv6', { host: '[::1]:4747' }, 200],
    ['a name that was made to lead here', { host: 'evil.example:4747' }, 403],
    ['a name that only begins like ours', { host: 'localhost.evil.example' }, 403],
    ['user information before another name', { host: 'localhost@evil.example' }, 403],
    ['no name', { host: undefined }, 403],
    ['a page of ours', { origin: 'http://localhost:4747', fetchSite: 'same-origin' }, 200],
    ['a page of another origin', { origin: 'https://evil.example' }, 403],
    ['a page of another port', { origin: 'http://localhost:9999' }, 403],
    ['a page without an origin', { origin: 'null' }, 403],
    ['a link on another page', { fetchSite: 'cross-site' }, 403],
    ['a person who types the address', { fetchSite: 'none' }, 200],
  ])('answers a request with %s', async (_what, caller, status) => {
    expect(await asked(LOOPBACK, caller)).toBe(status)
    expect(await asked(LOOPBACK, caller, 'write')).toBe(status)
  })
})

it.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.0.0.1.evil.example', false],
  ['10.0.0.1', false],
])('%s is an address that only this machine reaches: %s', (host, is) => {
  expect(isLoopback(host)).toBe(is)
})
