import { describe, expect, it } from 'vitest'
import { type AlertSpec, isStoredResource } from '@sluice/contracts/resources'
import { checkReferences } from './checks/check-references.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

const SYNC =
  '---\nkind: sync\nname: customers\nmodel: m\ndestination: d\ntriggers: { added: { method: POST, path: /x } }\n'
const HEAD = 'kind: alert\nname: team\n'
const SLACK = 'to: { slack: { url: "https://hooks.slack.com/services/${secret:slack}" } }\n'

function decoded(text: string) {
  const read = readDocuments({ path: 'a.yaml', folder: '/p', text })
  return read.resources.map(document => decodeResource(document, { env: {}, readFile: () => ({ text: '' }) }))
}

function problemsOf(text: string): readonly string[] {
  const all = decoded(`${text}${SYNC}`)
  const problems = [...all.flatMap(one => one.problems), ...checkReferences(all, [])]
  return problems
    .filter(({ message }) => !/there is no (model|destination)/.test(message))
    .map(({ line, column, field, message }) => `${[line, column].join(':')} ${field ?? ''}: ${message}`)
}

function alertOf(text: string): AlertSpec {
  expect(problemsOf(text)).toEqual([])
  const spec = decoded(text)[0]?.spec
  if (spec?.kind === 'alert') return spec
  throw new Error('it is no alert')
}

describe('an alert', () => {
  it('may have every condition, in one list', () => {
    const text = `${HEAD}syncs: all\nwhen: [run-failed, rows-failed: { share: 0.01 }, held, slow: { longerThan: 1h }, silent: { noSuccessFor: 1d }, certificate-expiring, auth-failing]\n${SLACK}`
    const spec = alertOf(text)
    expect(spec.when).toEqual([
      'run-failed',
      { 'rows-failed': { share: 0.01 } },
      'held',
      { slow: { longerThan: 3_600_000 } },
      { silent: { noSuccessFor: 86_400_000 } },
      'certificate-expiring',
      'auth-failing',
    ])
    expect(isStoredResource('alert', JSON.parse(JSON.stringify(spec)))).toBe(true)
  })

  it.each([
    [
      'a webhook',
      '{ webhook: { url: "https://ops.example.com/hooks/${secret:path}?team=a", secret: "${secret:hook}" } }',
    ],
    [
      'e-mail',
      '{ email: { smtp: "smtps://me:${secret:smtp}@mail.example.com", from: "Sluice <s@example.com>", to: a@example.com } }',
    ],
    [
      'several receivers',
      '{ email: { smtp: "smtp://127.0.0.1:2525", from: s@example.com, to: [a@example.com, "B <b@example.com>"] } }',
    ],
  ])('may tell %s', (_what, to) => {
    const { to: target } = alertOf(`${HEAD}syncs: [customers]\nwhen: [held]\nto: ${to}\n`)
    expect(Object.keys(target)).toHaveLength(1)
  })
})

describe('a mistake in an alert', () => {
  const of = (fields: string) => problemsOf(`${HEAD}${fields}`)
  it.each([
    [
      'an unknown sync',
      `syncs: [custmers]\nwhen: [held]\n${SLACK}`,
      /^3:9 syncs\[0\]: alert `team`: there is no sync `custmers`; did you mean `customers`\?$/,
    ],
    [
      'one sync as text',
      `syncs: customers\nwhen: [held]\n${SLACK}`,
      /^3:8 syncs: .*wanted `all`, or a list of syncs such as \[customers, orders\]/,
    ],
    [
      'a condition without its limit',
      `syncs: all\nwhen: [rows-failed]\n${SLACK}`,
      /^4:8 when\[0\]: .*found `rows-failed`; write `rows-failed: \{ share: 0.01 \}`$/,
    ],
    [
      'a share of hundred',
      `syncs: all\nwhen: [rows-failed: { share: 1 % }]\n${SLACK}`,
      /wanted a share from 0 to 1, such as 0.01/,
    ],
    [
      'a duration without a unit',
      `syncs: all\nwhen: [slow: { longerThan: 60 }]\n${SLACK}`,
      /wanted a duration such as/,
    ],
    ['a condition that occurs twice', `syncs: all\nwhen: [held, held]\n${SLACK}`, /each condition only once/],
    [
      'two targets',
      `syncs: all\nwhen: [held]\nto: { slack: { url: "https://a" }, email: { from: a@b } }\n`,
      /`slack`, `email`/,
    ],
    [
      'a URL that is a secret',
      `syncs: all\nwhen: [held]\nto: { slack: { url: "\${secret:slack}" } }\n`,
      /whose host stands there as it is/,
    ],
    [
      'a signing secret that is written out',
      `syncs: all\nwhen: [held]\nto: { webhook: { url: "https://a", secret: abc } }\n`,
      /wanted a secret, as `?\$\{secret:NAME\}/,
    ],
    [
      'a mail password that is written out',
      `syncs: all\nwhen: [held]\nto: { email: { smtp: "smtp://a:b@c", from: a@b, to: a@b } }\n`,
      /the password as a secret/,
    ],
    [
      'a mail server without its scheme',
      `syncs: all\nwhen: [held]\nto: { email: { smtp: mail.example.com, from: a@b, to: a@b } }\n`,
      /smtps:\/\/user:\$\{secret:smtp-password\}@mail\.example\.com:465/,
    ],
    [
      'a header in an address',
      `syncs: all\nwhen: [held]\nto: { email: { smtp: "smtp://c", from: "a\\r\\nBcc: x@y <a@b>", to: a@b } }\n`,
      /wanted an address such as/,
    ],
    [
      'a second address in an address',
      `syncs: all\nwhen: [held]\nto: { email: { smtp: "smtp://c", from: "a@b, c@d", to: a@b } }\n`,
      /wanted an address such as/,
    ],
  ])('%s is told with what is wanted', (_what, fields, message) => {
    expect(of(fields).join('\n')).toMatch(message)
  })
})
