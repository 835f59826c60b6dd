import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { createLocalTokenStore } from './adapters/local.ts'
import type { Login } from './login.ts'
import { oauthSettings, type OAuthSettings } from './settings.ts'
import { TokenEndpoint } from './token-request.ts'
import { TokenSource, type Logins } from './token-source.ts'

const { signal } = new AbortController()
const CLIENT = {
  tokenUrl: 'https://login.example.com/token',
  clientId: 'c',
  clientSecret: 'the-client-secret',
}
const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() })

interface Answer {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: unknown
}

/** An authorization server that follows a script, a vault and a clock, shared by processes. */
class World {
  readonly requests: URLSearchParams[] = []
  readonly store = createLocalTokenStore({ now: () => this.nowMs })
  readonly written: Login[] = []
  nowMs = 0
  script: (request: URLSearchParams, nth: number) => Answer | Promise<Answer> = (_, nth) => ({
    body: { access_token: `token-${nth}`, expires_in: 3600 },
  })
  login: { readonly login: Login; readonly version: number } | null = null
  beforeWrite: () => Promise<void> | void = () => undefined
  afterWrite: () => Promise<void> | void = () => undefined

  /** A process. */
  source(settings: Partial<Parameters<typeof oauthSettings>[0]> = {}): TokenSource {
    const spec = { grant: 'client-credentials', ...CLIENT, ...settings } as const
    const logins: Logins = {
      caughtUp: () => Promise.resolve(),
      read: () => this.login,
      write: async (login, expected) => {
        await this.beforeWrite()
        if ((this.login?.version ?? null) !== expected) throw new SluiceError('conflict', 'another version')
        this.login = { login, version: (this.login?.version ?? 0) + 1 }
        this.written.push(login)
        await this.afterWrite()
      },
    }
    return new TokenSource({
      ...{ destination: 'api', name: 'api/1', store: this.store, keys, logins, now: () => this.nowMs },
      endpoint: new TokenEndpoint({
        send: request => this.#answer(request),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
      settings: (): OAuthSettings => oauthSettings(spec, text => text),
      connection: () => ({}),
    })
  }

  async #answer({ body }: OutgoingRequest): Promise<SendResult> {
    const request = new URLSearchParams(Buffer.from(body ?? []).toString())
    this.requests.push(request)
    const { status = 200, headers = {}, body: answer = {} } = await this.script(request, this.requests.length)
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
    return { kind: 'answered', status, headers, body: text, startedAt: 0, durationMs: 0 }
  }
}

const tokenOf = async (source: TokenSource): Promise<string | undefined> => {
  const failure = await source.obtain({ signal })
  if (failure !== null) throw failure.error
  return source.current?.accessToken
}

/** Each refresh token counts once. */
const rotating = (request: URLSearchParams, nth: number): Answer => {
  const used = request.get('refresh_token')
  return used === null || used === `refresh-${nth - 1}`
    ? { body: { access_token: `token-${nth}`, refresh_token: `refresh-${nth}`, expires_in: 60 } }
    : { status: 400, body: { error: 'invalid_grant' } }
}
const ROTATING = { grant: 'refresh-token', refreshToken: 'refresh-0' } as const

describe('a token', () => {
  it('is asked for once by all who ask at the same time, in all processes', async () => {
    const world = new World()
    const sources = [world.source(), world.source(), world.source()]
    const found = await Promise.all([...sources, ...sources].map(tokenOf))
    expect(new Set(found)).toEqual(new Set(['token-1']))
    expect(world.requests).toHaveLength(1)
  })

  it('is replaced a minute before it ends, and not before', async () => {
    const world = new World()
    const source = world.source()
    await tokenOf(source)
    world.nowMs = 3_539_000
    expect(source.current?.accessToken).toBe('token-1')
    world.nowMs = 3_541_000
    expect(source.current).toBeNull()
    expect(await tokenOf(source)).toBe('token-2')
  })

  it('of a few seconds is used for most of them', async () => {
    const world = new World()
    world.script = () => ({ body: { access_token: 'short', expires_in: '5' } })
    const source = world.source()
    await tokenOf(source)
    world.nowMs = 3_900
    expect(source.current).not.toBeNull()
    world.nowMs = 4_100
    expect(source.current).toBeNull()
  })

  it('that is refused is replaced once by all processes, and those that come later use the new one', async () => {
    const world = new World()
    const [one, two] = [world.source(), world.source()]
    await Promise.all([tokenOf(one), tokenOf(two)])
    const [ofOne, ofTwo] = [one.current, two.current]
    if (ofOne === null || ofTwo === null) throw new Error('there is no token')
    expect([one.answered(ofOne, 401), one.answered(ofOne, 401)]).toEqual([true, true])
    expect(one.current).toBeNull()
    expect(await tokenOf(one)).toBe('token-2')
    expect(two.answered(ofTwo, 401)).toBe(true)
    expect(await tokenOf(two)).toBe('token-2')
    // An answer to the old token that comes late says nothing of the new one.
    expect(one.answered(ofOne, 401)).toBe(true)
    expect(one.current?.accessToken).toBe('token-2')
    expect(world.requests).toHaveLength(2)
  })

  it('in the place of a refused one that is refused, too, is left alone for a minute', async () => {
    const world = new World()
    const source = world.source()
    await tokenOf(source)
    const first = source.current
    if (first === null || !source.answered(first, 401)) throw new Error('it is not replaced')
    await tokenOf(source)
    const second = source.current
    if (second === null) throw new Error('there is no token')
    expect(source.answered(second, 401)).toBe(false)
    expect(source.current).toBe(second)
    world.nowMs = 61_000
    expect(source.answered(second, 401)).toBe(true)
    expect(source.current).toBeNull()
  })

  it('that others had in the place of a refused one is replaced by a process that begins with it', async () => {
    const world = new World()
    const [one, two] = [world.source(), world.source()]
    await tokenOf(one)
    const first = one.current
    if (first === null || !one.answered(first, 401)) throw new Error('it is not replaced')
    expect(await tokenOf(one)).toBe('token-2')
    expect(await tokenOf(two)).toBe('token-2')
    const second = two.current
    if (second === null) throw new Error('there is no token')
    world.nowMs = 1_000
    expect(two.isOlder(second)).toBe(true)
    expect(two.answered(second, 401)).toBe(true)
    expect(await tokenOf(two)).toBe('token-3')
    const third = two.current
    if (third === null) throw new Error('there is no token')
    expect([two.isOlder(third), two.answered(third, 401)]).toEqual([false, false])
    expect(world.requests).toHaveLength(3)
  })

  it('that the API took may be refused at any later time', async () => {
    const world = new World()
    const source = world.source()
    for (let round = 1; round <= 3; round += 1) {
      await tokenOf(source)
      const { current } = source
      if (current === null) throw new Error('there is no token')
      expect(source.answered(current, 200)).toBe(false)
      expect(source.answered(current, 401)).toBe(true)
    }
  })

  it('is masked with those before it, and with what it was asked for with', async () => {
    const world = new World()
    world.script = rotating
    const source = world.source(ROTATING)
    await tokenOf(source)
    world.nowMs = 60_000
    await tokenOf(source)
    for (const secret of ['token-1', 'token-2', 'refresh-0', 'refresh-1', 'refresh-2', CLIENT.clientSecret])
      expect(source.secrets).toContain(secret)
  })
})

describe('a token endpoint that fails', () => {
  it('is asked again after longer and longer pauses, by one process for all', async () => {
    const world = new World()
    world.script = () => ({ status: 500, body: 'out of order' })
    const [one, two] = [world.source(), world.source()]
    const pauses: number[] = []
    for (let round = 0; round < 7; round += 1) {
      const failure = await one.obtain({ signal })
      expect(failure).toMatchObject({ mayPass: true, error: { code: 'unreachable', retryable: true } })
      expect(failure?.error.message).toBe(
        'Destination `api`: no token from login.example.com/token: HTTP 500: out of order',
      )
      pauses.push(failure?.pauseMs ?? 0)
      const other = await two.obtain({ signal })
      expect(other?.error.message).toBe(failure?.error.message)
      world.nowMs += failure?.pauseMs ?? 0
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    expect(world.requests).toHaveLength(7)
    world.script = () => ({ body: { access_token: 'again' } })
    expect(await tokenOf(two)).toBe('again')
  })

  it('that refuses the client is asked once a minute, since accounts get locked', async () => {
    const world = new World()
    world.script = () => ({ status: 401, body: { error: 'invalid_client' } })
    const failure = await world.source().obtain({ signal })
    expect(failure).toMatchObject({ mayPass: false, pauseMs: 60_000, error: { code: 'config' } })
  })

  it('may ask for a pause', async () => {
    const world = new World()
    world.script = () => ({ status: 429, headers: { 'retry-after': '17' } })
    expect((await world.source().obtain({ signal }))?.pauseMs).toBe(17_000)
  })

  it('shows nothing of what it was asked with', async () => {
    const world = new World()
    world.script = request => ({ status: 400, body: `wrong: ${request.toString()} ${CLIENT.clientSecret}` })
    const failure = await world.source({ ...ROTATING, clientAuthentication: 'body' }).obtain({ signal })
    expect(failure?.error.message).toContain('wrong')
    expect(failure?.error.message).not.toMatch(/refresh-0|client-secret/)
  })
})

describe('a token endpoint whose tokens end before they are there', () => {
  it('is asked after longer and longer pauses', async () => {
    const world = new World()
    world.script = (_, nth) => {
      world.nowMs += 5_000
      if (nth > 3) throw new Error('asked without a pause')
      return { body: { access_token: 'a', refresh_token: `refresh-${nth}`, expires_in: 1e-9 } }
    }
    const source = world.source(ROTATING)
    for (const pauseMs of [1_000, 2_000, 4_000]) {
      const failure = await source.obtain({ signal })
      expect(failure).toMatchObject({ mayPass: true, isOutage: false, pauseMs })
      world.nowMs += pauseMs
    }
    expect(world.login?.login.refreshToken).toBe('refresh-3')
  })
})

describe('a refresh token that is replaced with each use', () => {
  it('is written before the token that came with it is used', async () => {
    const world = new World()
    world.script = rotating
    const source = world.source(ROTATING)
    world.afterWrite = () => {
      expect(source.current).toBeNull()
    }
    expect(await tokenOf(source)).toBe('token-1')
    expect(world.written.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-1'])
    world.nowMs = 60_000
    expect(await tokenOf(source)).toBe('token-2')
    expect(world.login?.login.refreshToken).toBe('refresh-2')
  })

  it('is not lost when the process dies after it was written and before its token is used', async () => {
    const world = new World()
    world.script = rotating
    const dying = world.source(ROTATING)
    const { promise: written, resolve } = Promise.withResolvers<void>()
    world.afterWrite = () => {
      resolve()
      // From here on the process does nothing more.
      return new Promise(() => undefined)
    }
    void dying.obtain({ signal })
    await written
    world.afterWrite = () => undefined
    // Its lease runs out.
    world.nowMs = 90_000
    expect(await tokenOf(world.source(ROTATING))).toBe('token-2')
    expect(world.requests.map(request => request.get('refresh_token'))).toEqual(['refresh-0', 'refresh-1'])
  })

  it('is kept until the vault takes it, and nothing else is asked for meanwhile', async () => {
    const world = new World()
    world.script = rotating
    const source = world.source(ROTATING)
    world.beforeWrite = () => {
      throw new SluiceError('unreachable', 'Kafka does not answer', { retryable: true })
    }
    expect((await source.obtain({ signal }))?.error.message).toBe('Kafka does not answer')
    expect(source.current).toBeNull()
    world.beforeWrite = () => undefined
    world.nowMs += 1_000
    expect(await tokenOf(source)).toBe('token-1')
    expect(world.requests).toHaveLength(1)
    expect(world.login?.login.refreshToken).toBe('refresh-1')
  })

  it('does not take the place of one that another process wrote meanwhile', async () => {
    const world = new World()
    world.script = (request, nth) => {
      const answer = rotating(request, nth)
      // Another process, while this one waits for its answer.
      if (nth === 1 && world.login === null) {
        const login = { epoch: 'e', of: 'x', refreshToken: 'refresh-1', access: null }
        world.login = { login, version: 7 }
      }
      return answer
    }
    const source = world.source(ROTATING)
    const failure = await source.obtain({ signal })
    expect(world.written).toEqual([])
    // What the other wrote belongs to another client here, so this one asks with its own again.
    expect(failure?.error.message).toContain('invalid_grant')
  })

  it('takes the place of the one that it follows, though that was sealed anew meanwhile', async () => {
    const world = new World()
    world.script = rotating
    const source = world.source(ROTATING)
    expect(await tokenOf(source)).toBe('token-1')
    world.nowMs = 100_000
    world.beforeWrite = () => {
      world.beforeWrite = () => undefined
      if (world.login !== null) world.login = { ...world.login, version: world.login.version + 1 }
    }
    expect(await tokenOf(source)).toBe('token-2')
    expect(world.login?.login.refreshToken).toBe('refresh-2')
    // The refresh token that it came with counts no more.
    world.nowMs = 200_000
    expect(await tokenOf(source)).toBe('token-3')
  })

  it('is not cut off by the end of the run that wanted it', async () => {
    const world = new World()
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>()
    const { promise: answers, resolve: answer } = Promise.withResolvers<void>()
    world.script = async (request, nth) => {
      isAsked()
      await answers
      return rotating(request, nth)
    }
    const source = world.source(ROTATING)
    const run = new AbortController()
    const obtaining = source.obtain({ signal: run.signal })
    await asked
    run.abort(new Error('the run was cancelled'))
    await expect(obtaining).rejects.toThrow('cancelled')
    const closed = source[Symbol.asyncDispose]()
    answer()
    await closed
    expect(world.login?.login.refreshToken).toBe('refresh-1')
  })

  it('gives way to another first one that somebody configures', async () => {
    const world = new World()
    world.script = rotating
    await tokenOf(world.source(ROTATING))
    world.nowMs = 60_000
    world.script = () => ({ body: { access_token: 'of the new login', refresh_token: 'new-2' } })
    expect(await tokenOf(world.source({ ...ROTATING, refreshToken: 'new-1' }))).toBe('of the new login')
    expect(world.requests.at(-1)?.get('refresh_token')).toBe('new-1')
    expect(world.login?.login.refreshToken).toBe('new-2')
  })

  it('goes on as it is if an answer has none', async () => {
    const world = new World()
    world.script = (_, nth) => ({ body: { access_token: `token-${nth}`, expires_in: 60 } })
    const source = world.source(ROTATING)
    await tokenOf(source)
    world.nowMs = 60_000
    await tokenOf(source)
    expect(world.requests.map(request => request.get('refresh_token'))).toEqual(['refresh-0', 'refresh-0'])
  })
})

describe('a login', () => {
  it('by password is refreshed, and begins again once the refresh token has ended', async () => {
    const world = new World()
    world.script = (request, nth) =>
      nth === 2
        ? { status: 400, body: { error: 'invalid_grant' } }
        : { body: { access_token: `token-${nth}`, refresh_token: `refresh-${nth}`, expires_in: 60 } }
    const source = world.source({ grant: 'password', username: 'ann', password: 'pw' })
    await tokenOf(source)
    world.nowMs = 60_000
    expect(await tokenOf(source)).toBe('token-3')
    expect(world.requests.map(request => request.get('grant_type'))).toEqual([
      ...['password', 'refresh_token', 'password'],
    ])
    expect(world.login?.login.refreshToken).toBe('refresh-3')
  })

  it('by password is of nobody who does not know the password', async () => {
    const world = new World()
    world.script = (_, nth) => ({ body: { access_token: `token-${nth}`, refresh_token: `refresh-${nth}` } })
    const client = { grant: 'password', clientSecret: undefined, username: 'ann' } as const
    await tokenOf(world.source({ ...client, password: 'pw' }))
    world.nowMs = 3_600_000
    await world
      .source({ ...client, password: 'x', refreshUrl: 'https://evil.example.com' })
      .obtain({ signal })
    expect(world.requests.map(request => request.get('grant_type'))).toEqual(['password', 'password'])
  })

  it('by authorization code is asked for by name, and of a person', async () => {
    const world = new World()
    const failure = await world.source({ grant: 'authorization-code' }).obtain({ signal })
    expect(failure).toMatchObject({ mayPass: false, error: { code: 'config' } })
    expect(failure?.error.message).toContain('`sluice auth api` logs in')
    expect(world.requests).toEqual([])
  })
})

describe('a log or a store that does not answer', () => {
  it('is distinguished from a failing token endpoint, and asks nobody for a token', async () => {
    const world = new World()
    const source = world.source()
    const read = world.store.read.bind(world.store)
    world.store.read = () =>
      Promise.reject(new SluiceError('unreachable', 'Redis is away', { retryable: true }))
    expect(await source.obtain({ signal })).toMatchObject({ isOutage: true, mayPass: true })
    expect(world.requests).toEqual([])
    world.store.read = read
    expect(await tokenOf(source)).toBe('token-1')
  })
})
