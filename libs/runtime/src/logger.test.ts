import { expect, it } from 'vitest'
import { createLogger } from './logger.ts'
import { ownSecrets } from './own-secrets.ts'

function linesOf(options: { level?: string; secrets?: readonly string[] } = {}) {
  const lines: string[] = []
  return { lines, logger: createLogger({ name: 'test', write: line => lines.push(line), ...options }) }
}

it('writes one JSON line for each message of its level or above', () => {
  const { lines, logger } = linesOf({ level: 'warn' })
  logger.info('not shown')
  logger.child({ sync: 's' }).warn({ run: 3 }, 'shown')
  const shown: unknown[] = lines.map((line): unknown => JSON.parse(line))
  expect(shown).toMatchObject([{ name: 'test', sync: 's', run: 3, msg: 'shown' }])
})

it('an unknown level is info, and silent is silent', () => {
  const chatty = linesOf({ level: 'loud' })
  chatty.logger.debug('no')
  chatty.logger.info('yes')
  expect(chatty.lines).toHaveLength(1)
  const quiet = linesOf({ level: 'silent' })
  quiet.logger.fatal('no')
  expect(quiet.lines).toHaveLength(0)
})

it('shows no value of a property with the name of a secret, nor a text that it is told to mask', () => {
  const { lines, logger } = linesOf({ secrets: ['hunter22'] })
  logger.info({ password: 'p4ss', to: { headers: { authorization: 'Bearer b' } } }, 'as hunter22')
  logger.error({ err: new Error('refused hunter22') }, 'failed')
  expect(lines.join('')).not.toMatch(/p4ss|Bearer b|hunter22/)
  expect(lines.join('')).toContain('refused ***')
})

it('shows of an error what it says, and nothing that a client hung on it', () => {
  const { lines, logger } = linesOf()
  const cause = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    command: { name: 'auth', args: ['user', 'hidden-1'] },
    config: { headers: { Authorization: 'hidden-2' } },
  })
  const error = Object.assign(new Error('cannot log in', { cause }), {
    code: 'ECONN',
    sql: "set password = 'hidden-3'",
    parameters: ['hidden-4'],
    previousErrors: [cause],
    errors: [cause],
  })
  logger.error({ err: error }, 'one')
  logger.error(error)
  logger.child({ sync: 's' }).warn({ reason: error, err: { command: ['hidden-5'] } }, 'two')
  logger.fatal({ err: new AggregateError([cause], 'several') }, 'three')
  expect(lines.join('')).not.toContain('hidden')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    err: { message: 'cannot log in', code: 'ECONN', cause: { message: cause.message } },
  })
  expect(JSON.parse(lines[2] ?? '')).toMatchObject({ reason: { message: 'cannot log in' } })
})

it('knows the secrets of its process, those in addresses too', () => {
  const env = {
    SLUICE_REDIS_URL: 'redis+sentinel://user:red%40is1@a,b:26379/m?sentinelPassword=sent1nel',
    SLUICE_SCHEMA_REGISTRY_URL: 'http://u:reg1stry@registry:8081',
    SLUICE_KAFKA_SASL_PASSWORD: 'kafka-pw',
    SLUICE_SECRET_CRM: 'crm-token\n',
    SLUICE_SECRET_CRM_FOR: 'api.example.com',
    SLUICE_METRICS_TOKEN: 'metr1cs',
    SLUICE_TOKENS: '# people\nann view,read anns-t0ken\n;bob all bobs-t0ken wr0ng',
    SLUICE_SIGNING_KEY: 's1gning',
    HTTPS_PROXY: 'http://u:pr0xy@proxy:3128',
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=c0llector%21',
  }
  expect([...ownSecrets(env)].sort()).toEqual(
    [
      'anns-t0ken',
      'bobs-t0ken',
      'c0llector!',
      'c0llector%21',
      'crm-token',
      'kafka-pw',
      'metr1cs',
      'pr0xy',
      's1gning',
      'red%40is1',
      'red@is1',
      'reg1stry',
      'sent1nel',
      'wr0ng',
    ].sort(),
  )
})

it('an error that is cut shows no part of a secret, wherever the cut is', () => {
  const secret = 'the-very-secret-value'
  const { lines, logger } = linesOf({ secrets: [secret] })
  for (const most of [10_000, 100_000])
    for (let before = most - secret.length - 2; before <= most + 1; before += 1) {
      const message = 'x'.repeat(before) + secret + 'y'.repeat(100)
      logger.error({ err: new Error('short', { cause: new Error(message) }) }, 'one')
    }
  expect(lines.filter(line => /xt/.test(line))).toEqual([])
  expect(lines.some(line => line.includes('x***yy'))).toBe(true)
})

it('a terminal obeys nothing of what is logged, and it says the same', () => {
  const { lines, logger } = linesOf()
  const said = 'x\u001b[2J\u009b2J\u0007\n\u202e\u2028y'
  logger.error({ sync: said, err: new Error(said) }, said)
  expect(lines).toHaveLength(1)
  expect(lines[0]?.trimEnd()).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028]/u)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ sync: said, msg: said, err: { message: said } })
})
