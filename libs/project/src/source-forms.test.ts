/** The forms of a source, which its type distinguishes. */
import { describe, expect, it } from 'vitest'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

function decode(text: string) {
  const { resources, problems } = readDocuments({ path: 'a.yaml', folder: '/project', text })
  expect(problems).toEqual([])
  const [document] = resources
  if (document === undefined) throw new Error('no document')
  return decodeResource(document, { env: {}, readFile: () => ({ problem: 'no file' }) })
}

function specOf(text: string): unknown {
  const { spec, problems } = decode(text)
  expect(problems).toEqual([])
  return spec
}

/** The one problem of a document, as `line:column field: message`. */
function problemOf(text: string): string {
  const problems = decode(text).problems.map(
    ({ line, column, field, message }) => `${line ?? 0}:${column ?? 0} ${field ?? ''}: ${message}`,
  )
  expect(problems).toHaveLength(1)
  return problems.join()
}

describe('a source', () => {
  it('has the form of its type', () => {
    const crm = 'kind: source\nname: crm\ntype: postgres\n'
    expect(
      specOf(
        `${crm}url: postgres://reader@127.0.0.1:5432/crm\npassword: \${secret:crm-password}\ntls:\n  ca: \${secret:ca}\ntimeout: 5m\n`,
      ),
    ).toMatchObject({ password: '${secret:crm-password}', tls: { ca: '${secret:ca}' }, timeout: 300_000 })
    expect(problemOf(`${crm}path: x\nurl: postgres://u@h/d\n`)).toMatch(
      /^4:1 path: source `crm`: unknown field `path`; the fields are .*`url`, `password`, `tls`/,
    )
    expect(problemOf('kind: source\nname: crm\ntype: postgre\nurl: x\n')).toBe(
      '3:7 type: source `crm`: wanted one of `duckdb`, `sqlite`, `postgres`, `mysql`, `kafka`, found `postgre`; did you mean `postgres`?',
    )
    expect(problemOf('kind: source\nname: crm\nurl: x\n')).toBe(
      '1:1 type: source `crm`: the field `type` is missing; wanted one of `duckdb`, `sqlite`, `postgres`, `mysql`, `kafka`',
    )
    expect(specOf('kind: source\nname: shop\ntype: ${NONE:-duckdb}\npath: p\n')).toMatchObject({
      type: 'duckdb',
    })
  })

  it('on a server has its password as a secret, and a URL without one', () => {
    const crm = 'kind: source\nname: crm\ntype: postgres\n'
    const plain = problemOf(`${crm}url: postgres://u@h/d\npassword: hush\n`)
    expect(plain).toMatch(/^5:11 password: .*wanted a secret, as \$\{secret:NAME\}/)
    expect(plain).not.toContain('hush')
    expect(problemOf(`${crm}url: postgres://u:hu@sh@h/d\n`)).toContain('found `postgres://u:***@h/d`')
    for (const url of [
      'postgres://u:hush@h/d',
      'postgres://h/d',
      'postgres://u@h',
      'postgres://u@h/d?sslmode=require',
      'http://u@h/d',
      'u@h/d',
    ])
      expect(problemOf(`${crm}url: ${url}\n`)).toMatch(
        /^4:6 url: .*wanted a URL such as postgres:\/\/user@host:port/,
      )
    expect(problemOf('kind: source\nname: shop\ntype: duckdb\npath: ${secret:p}\n')).toMatch(
      /is not allowed here/,
    )
    expect(problemOf(`${crm}url: postgres://u@h/d\ntls: { cert: x }\n`)).toMatch(/`cert` and `key` together/)
  })
})
