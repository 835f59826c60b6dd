import { describe, expect, it } from 'vitest'
import { Sessions } from './sessions.ts'
import { allTokens, type KnownToken } from './tokens.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const TOKENS = allTokens({ write: 'write-token-0123', read: 'read-token-0123' })
const [OPERATOR, READER] = TOKENS

function opened(tokens: readonly KnownToken[] = TOKENS): {
  readonly sessions: Sessions
  readonly clock: { now: number }
} {
  const clock = { now: 1_800_000_000_000 }
  return { sessions: new Sessions({ holderOf: of(tokens), now: () => clock.now }), clock }
}

function of(tokens: readonly KnownToken[]): (subject: string) => KnownToken | null {
  return subject => tokens.find(token => token.subject === subject) ?? null
}

async function login(sessions: Sessions, token = OPERATOR): Promise<string> {
  if (token === undefined) throw new Error('there is no such token')
  return (await sessions.open(token)).renewed
}

describe('a session', () => {
  it('is known by every server with the same tokens, and by none without its token', async () => {
    const text = await login(opened().sessions)
    expect(await opened().sessions.find(text)).toMatchObject({ holder: { name: 'operator' }, renewed: null })
    const without = allTokens({ write: null, read: 'read-token-0123' })
    const changed = allTokens({ write: 'another-token-0123', read: 'read-token-0123' })
    expect(await opened(without).sessions.find(text)).toBeNull()
    expect(await opened(changed).sessions.find(text)).toBeNull()
  })

  it('ends after an hour without a request, and each request keeps it alive', async () => {
    const { sessions, clock } = opened()
    let text = await login(sessions)
    for (let used = 0; used < 5; used += 1) {
      clock.now += HOUR - 1
      text = (await sessions.find(text))?.renewed ?? 'it has ended'
    }
    clock.now += HOUR - 1
    expect(await sessions.find(text)).not.toBeNull()
    clock.now += 1
    expect(await sessions.find(text)).toBeNull()
  })

  it('ends twelve hours after its login, however much it is used', async () => {
    const { sessions, clock } = opened()
    const endsAt = clock.now + 12 * HOUR
    let text = await login(sessions)
    for (;;) {
      clock.now += 50 * MINUTE
      const found = await sessions.find(text)
      if (found === null) break
      expect(found.endsAt).toBe(endsAt)
      expect(found.idleUntil).toBeLessThanOrEqual(endsAt)
      text = found.renewed ?? text
    }
    expect(clock.now).toBeGreaterThanOrEqual(endsAt)
    expect(clock.now).toBeLessThan(endsAt + 50 * MINUTE)
  })

  it('that was ended is over, also in copies of it and as it was renewed', async () => {
    const { sessions, clock } = opened()
    const text = await login(sessions)
    clock.now += 2 * MINUTE
    const found = await sessions.find(text)
    sessions.end({ id: found?.id ?? '' })
    expect(await sessions.find(text)).toBeNull()
    expect(await sessions.find(found?.renewed ?? '')).toBeNull()
    expect(await sessions.find(await login(sessions))).not.toBeNull()
  })

  it('has another id with each login', async () => {
    const { sessions } = opened()
    const ids = [await login(sessions), await login(sessions)].map(text => text.split('.')[1])
    expect(new Set(ids).size).toBe(2)
  })

  it('is refused with any character changed, and with another name, time or signature', async () => {
    const { sessions } = opened()
    const text = await login(sessions, READER)
    const [name = '', id = '', since = '', used = '', mac = ''] = text.split('.')
    const later = (Number.parseInt(since, 36) + HOUR).toString(36)
    const own = await login(sessions)
    const forged = [
      ...[...text].map((_, at) => `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`),
      ['operator', id, since, used, mac].join('.'),
      [name, id, later, used, mac].join('.'),
      [name, id, since, later, mac].join('.'),
      [name, id, since, used, own.split('.')[4]].join('.'),
      [name, id, since, used, ''].join('.'),
      [name, id, since, used].join('.'),
      ...['', '.', '....', `${text}.`, ` ${text}`, text.toUpperCase(), '__proto__', `constructor.${id}`],
    ]
    for (const each of forged) expect([each, await sessions.find(each)]).toEqual([each, null])
    expect(await sessions.find(text)).toMatchObject({ holder: { name: 'reader' } })
  })
})
