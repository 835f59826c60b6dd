import { expect, it } from 'vitest'
import { fillReferences } from './fill-references.ts'

const env = { SLUICE_SECRET_CRM_TOKEN: 'v4lue', SLUICE_KAFKA_SASL_PASSWORD: 'v4lue', SLUICED: 'not ours' }
const sources = { env, readFile: () => ({ text: '' }), secretsAllowed: false }

it.each([
  ['${SLUICE_SECRET_CRM_TOKEN}', 'write `${secret:crm-token}`'],
  ['${SLUICE_SECRET_CRM_TOKEN:-none}', 'write `${secret:crm-token}`'],
  ['a ${SLUICE_KAFKA_SASL_PASSWORD} b', 'a variable of another name'],
  ['${SLUICE_NOT_SET:-x}', 'may not be read'],
])('reads no variable of Sluice itself: %s', (text, message) => {
  const { problems, text: filled } = fillReferences(text, sources)
  expect(problems.join()).toContain(message)
  expect(problems.join() + filled).not.toContain('v4lue')
})

it('hints at no variable of Sluice, and reads one that only begins alike', () => {
  expect(fillReferences('${SLUICED}', sources).text).toBe('not ours')
  expect(fillReferences('${SLUICEDD}', sources).problems.join()).toContain('`SLUICED`')
  expect(fillReferences('${KAFKA_SASL_PASSWORD}', sources).problems.join()).not.toContain('SLUICE_KAFKA')
})
