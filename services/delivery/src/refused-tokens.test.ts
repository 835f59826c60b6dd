/**
 * Requests whose token the API refuses, or that no token can be had for: what is tried again, what it costs,
 * and what the rows come to (PROTOCOL.md §8, "Credentials").
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { isIntent } from '@sluice/domain/answers/intent'
import type { HttpSender, OutgoingRequest } from '@sluice/http-sender/port'
import { createLocalTokenStore } from '@sluice/oauth/adapters/local'
import { oauthSettings } from '@sluice/oauth/settings'
import { TokenEndpoint } from '@sluice/oauth/token-request'
import { TokenSource } from '@sluice/oauth/token-source'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { always, keysOf, OK, ScriptedDelivery, type Fate } from '../test/scripted-delivery.ts'
import { OAuthCredentials } from './destination/attempt-credentials.ts'
import { resolveTarget } from './destination/target.ts'
import type { DeliverDeps } from './run/open-run.ts'

const { signal } = new AbortController()
const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() })
const dispose = { [Symbol.asyncDispose]: () => Promise.resolve() }
const UNAUTHORIZED: Fate = { status: 401 }

/** An authorization server that gives token-1, token-2 and so on, as long as it works. */
class Tokens {
  given = 0
  asked = 0
  fails: string | null = null
  readonly store = createLocalTokenStore()
  readonly source = this.ofProcess()

  /** The tokens as a process has them, with the store that all share. */
  ofProcess(): TokenSource {
    return new TokenSource({
      ...{ destination: 'd', name: 'd/1', store: this.store, keys },
      endpoint: new TokenEndpoint({ ...dispose, send: () => Promise.resolve(this.#answer()) }),
      logins: { caughtUp: () => Promise.resolve(), read: () => null, write: () => Promise.resolve() },
      settings: () =>
        oauthSettings(
          { grant: 'client-credentials', tokenUrl: 'https://login.example.com/t', clientId: 'c' },
          text => text,
        ),
      connection: () => ({}),
    })
  }

  #answer() {
    this.asked += 1
    const took = { kind: 'answered', headers: {}, startedAt: 0, durationMs: 0 } as const
    if (this.fails !== null) return { ...took, status: 500, body: this.fails }
    this.given += 1
    return { ...took, status: 200, body: JSON.stringify({ access_token: `token-${this.given}` }) }
  }
}

let lives: ScriptedDelivery
let tokens: Tokens
let sent: string[]
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
  tokens = new Tokens()
  sent = []
})
afterEach(async () => {
  await tokens.source[Symbol.asyncDispose]()
  await lives[Symbol.asyncDispose]()
})

const parts = (patienceMs?: number): Pick<DeliverDeps, 'sender' | 'resolveTarget'> => {
  const sender: HttpSender = {
    ...dispose,
    send(request: OutgoingRequest) {
      sent.push(request.headers['authorization'] ?? 'none')
      return lives.api.send(request)
    },
  }
  const patience = patienceMs === undefined ? {} : { patienceMs }
  const credentials = new OAuthCredentials(tokens.source, { waitsForPeople: true, ...patience })
  return {
    sender,
    resolveTarget: async hash => {
      const definition = await lives.world.definitions.get(hash, { signal })
      return { ...resolveTarget(definition, () => ''), credentials }
    },
  }
}
const NEXT_RUN = { retry: 'next-run', backoff: undefined }
const shown = async (): Promise<string[]> =>
  (await lives.attempts()).map(
    ({ status, outcome, final }) => `${String(status)} ${outcome}${final ? ' final' : ''}`,
  )

describe('a request whose token is refused', () => {
  it('is tried once more with another one, which costs no retry and is in the ledger', async () => {
    await lives.begin(['k'], { errors: NEXT_RUN })
    lives.api.script = always(UNAUTHORIZED, OK)
    await lives.finish(parts())
    expect(sent).toEqual(['Bearer token-1', 'Bearer token-2'])
    expect(await shown()).toEqual(['401 rejected', '200 delivered final'])
    expect(lives.counts).toMatchObject({ delivered: 1, rejected: 0, requests: 1, attempts: 2 })
    expect(await lives.entries()).toEqual([])
    const all = JSON.stringify(await lives.attempts())
    expect(all).not.toMatch(/token-\d/)
  })

  it('and meets another old one, which a process asked for meanwhile, is tried with a third', async () => {
    await tokens.source.obtain({ signal })
    await using other = tokens.ofProcess()
    await other.obtain({ signal })
    const first = other.current
    if (first === null || !other.answered(first, 401)) throw new Error('the first token is not replaced')
    await other.obtain({ signal })
    await lives.begin(['k'], { errors: NEXT_RUN })
    lives.api.script = always(UNAUTHORIZED, UNAUTHORIZED, OK)
    await lives.finish(parts())
    expect(sent).toEqual(['Bearer token-1', 'Bearer token-2', 'Bearer token-3'])
    expect(lives.counts).toMatchObject({ delivered: 1, rejected: 0, requests: 1, attempts: 3 })
  })

  it('and is refused with the next one, too, is rejected', async () => {
    await lives.begin(['k'], { errors: NEXT_RUN })
    lives.api.script = always(UNAUTHORIZED)
    await lives.finish(parts())
    expect(await shown()).toEqual(['401 rejected', '401 rejected final'])
    expect(lives.counts).toMatchObject({ rejected: 1, unsent: 0 })
    expect(tokens.given).toBe(2)
  })

  it('has all of its retries besides', async () => {
    await lives.begin(['k'], { errors: { attempts: 2 } })
    lives.api.script = always(UNAUTHORIZED, { status: 422 }, { status: 422 }, OK)
    await lives.finish(parts())
    expect(await shown()).toEqual(['401 rejected', '422 rejected', '422 rejected', '200 delivered final'])
  })

  it('is unsent, and not rejected, if there is no other token in time', async () => {
    await lives.begin(['k'], { errors: NEXT_RUN })
    lives.api.script = () => {
      tokens.fails = 'out of order'
      return UNAUTHORIZED
    }
    await lives.finish(parts(0))
    expect(lives.counts).toMatchObject({ rejected: 0, unsent: 1 })
    expect((await lives.entries())[0]?.error).toContain('no token from login.example.com/t: HTTP 500')
  })

  it('keeps the outcomes of rows that the same answer names', async () => {
    const rowResults = [{ items: '$.done[*]', row: { index: '$' }, as: 'delivered' }]
    await lives.begin(['k'], { errors: { ...NEXT_RUN, rowResults } })
    lives.api.script = always({ status: 401, body: '{"done": [0]}' }, OK)
    await lives.finish(parts())
    expect(sent).toEqual(['Bearer token-1'])
    expect(lives.counts).toMatchObject({ delivered: 1, rejected: 0, attempts: 1 })
  })

  it('is tried by a successor as its predecessor would have', async () => {
    await lives.begin(['k'], { errors: NEXT_RUN })
    lives.api.script = always(UNAUTHORIZED, 'silent')
    const life = lives.live(parts())
    await lives.api.until(2)
    await life.kill()
    lives.api.script = always(OK)
    await lives.finish(parts())
    expect(lives.counts).toMatchObject({ delivered: 1, attempts: 2 })
  })

  it('of many costs one token for all of them', async () => {
    const rows = keysOf(40)
    await lives.begin(rows, { errors: NEXT_RUN })
    lives.api.script = (_key, nth) => (nth === 0 && sent.at(-1) === 'Bearer token-1' ? UNAUTHORIZED : OK)
    await lives.finish(parts())
    expect(lives.counts).toMatchObject({ delivered: 40 })
    expect(tokens.given).toBe(2)
  })
})

describe('with `delivery: at-most-once`, a request whose token ends while its intent is recorded', () => {
  it('waits for the next one, and is never sent without', async () => {
    await lives.begin(['a'], { errors: NEXT_RUN, sync: { delivery: 'at-most-once' } })
    await tokens.source.obtain({ signal })
    const over = parts()
    const held = tokens.source.current
    const looks = vi.spyOn(tokens.source, 'current', 'get')
    // One look is before the intent, and one is before the request.
    looks.mockReturnValueOnce(held).mockReturnValueOnce(held).mockReturnValueOnce(null)
    await lives.finish(over)
    expect(sent).toEqual(['Bearer token-1'])
    expect(lives.counts).toMatchObject({ delivered: 1, attempts: 1 })
    const intents = (await lives.attempts()).filter(isIntent)
    expect(intents).toHaveLength(1)
  })
})

describe('a run without a token', () => {
  it('sends nothing, leaves its rows unsent, and fails with the reason', async () => {
    await lives.begin(['a', 'b'], { errors: NEXT_RUN })
    tokens.fails = 'out of order'
    await lives.finish(parts(0))
    expect(sent).toEqual([])
    expect(lives.counts).toMatchObject({ unsent: 2, rejected: 0, attempts: 0 })
    const report = lives.world.runs.of('s')?.reports.get(0)
    expect(report?.error).toContain('no token from login.example.com/t: HTTP 500: out of order')
  })

  it('waits for the store of tokens as long as it is away, as for leases', async () => {
    await lives.begin(['a'], { errors: NEXT_RUN })
    let outages = 0
    const away = vi.spyOn(tokens.store, 'read').mockImplementation(() => {
      outages += 1
      if (outages === 2) away.mockRestore()
      return Promise.reject(new SluiceError('unreachable', 'Redis is away', { retryable: true }))
    })
    await lives.finish(parts(0))
    expect(outages).toBe(2)
    expect(lives.counts).toMatchObject({ delivered: 1, unsent: 0 })
  })

  it('goes on as soon as there is one', async () => {
    await lives.begin(['a', 'b'], { errors: NEXT_RUN })
    tokens.fails = 'out of order'
    const delivering = lives.finish(parts())
    await lives.world.runs.until(
      () => lives.world.runs.of('s')?.reports.get(0)?.waits?.[0]?.detail.includes('out of order') === true,
      { signal },
    )
    tokens.fails = null
    await delivering
    expect(lives.counts).toMatchObject({ delivered: 2 })
  })
})
