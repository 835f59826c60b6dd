import { expect, it } from 'vitest'
import { createLogger } from './logger.ts'

function linesOf(options: { level?: string; redact?: (line: string) => string } = {}) {
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
  const { lines, logger } = linesOf({ redact: line => line.replaceAll('hunter22', '***') })
  logger.info({ password: 'p4ss', to: { headers: { authorization: 'Bearer b' } } }, 'as hunter22')
  logger.error({ err: new Error('refused hunter22') }, 'failed')
  expect(lines.join('')).not.toMatch(/p4ss|Bearer b|hunter22/)
  expect(lines.join('')).toContain('refused ***')
})
