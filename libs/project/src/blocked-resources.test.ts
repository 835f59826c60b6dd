import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import { loadProject, loadUsable } from './load-project.ts'
import { resolveDefinition } from './project.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-blocked-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const options = { env: {}, signal: new AbortController().signal }
const SOURCE = 'kind: source\nname: files\ntype: duckdb\npath: .\n'
const destination = (name: string, url = 'http://x') => `kind: destination\nname: ${name}\nbaseUrl: ${url}\n`
const model = (name: string, source = 'files') =>
  `kind: model\nname: ${name}\nsource: ${source}\nsql: select 1 as id\nprimaryKey: id\n`
const sync = (name: string, uses: { model: string; destination: string }) =>
  `kind: sync\nname: ${name}\nmodel: ${uses.model}\ndestination: ${uses.destination}\ntriggers:\n  added: { method: POST, path: /x }\n`

async function write(files: { readonly [name: string]: readonly string[] }): Promise<void> {
  for (const [name, documents] of Object.entries(files))
    await writeFile(join(dir, name), documents.join('---\n'))
}

/** `usable`, or the code of the error and its details. */
async function stateOf(name: string): Promise<string> {
  const project = await loadUsable(dir, options)
  try {
    return resolveDefinition(project, name).sync.name === name ? 'usable' : 'another'
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return `${error.code}: ${error.details.map(({ file, line, message }) => [file, line, message].join(' ')).join(' | ')}`
  }
}

const good = { model: 'm', destination: 'd' }

describe('a mistake stops only the syncs that use what it is in', () => {
  it('where a variable is not set', async () => {
    await write({
      'all.yaml': [SOURCE, destination('d'), destination('e', '${GONE_URL}'), model('m')],
      'syncs.yaml': [sync('a', good), sync('b', { model: 'm', destination: 'e' })],
    })
    expect(await stateOf('a')).toBe('usable')
    expect(await stateOf('b')).toMatch(/^config: all.yaml 12 .*`GONE_URL` is not set[^|]*$/)
    await expect(loadProject(dir, options)).rejects.toMatchObject({ code: 'config' })
  })

  it('where the mistake is in the source of the model', async () => {
    await write({
      'a.yaml': [SOURCE, destination('d'), model('m'), sync('a', good)],
      'b.yaml': [
        'kind: source\nname: other\ntype: duckdb\n',
        model('n', 'other'),
        sync('b', { model: 'n', destination: 'd' }),
      ],
    })
    expect(await stateOf('a')).toBe('usable')
    expect(await stateOf('b')).toMatch(/^config: b.yaml 1 .*`path` is missing/)
  })

  it('where a resource is too large with the files that it names', async () => {
    const large = `${destination('e')}tls: { ca: '\${file:ca.pem}' }\n`
    await writeFile(join(dir, 'ca.pem'), '"\n'.repeat(3_000_000))
    await write({
      'a.yaml': [SOURCE, destination('d'), model('m'), sync('a', good)],
      'b.yaml': [large, sync('b', { model: 'm', destination: 'e' })],
    })
    expect(await stateOf('a')).toBe('usable')
    expect(await stateOf('b')).toMatch(
      /^config: b.yaml 4 .*wanted at most 11000000 bytes .*found 12000\d{3};/,
    )
  })

  it('where a file is no YAML, which tells of it to the syncs that miss something', async () => {
    await write({
      'a.yaml': [
        SOURCE,
        destination('d'),
        model('m'),
        sync('a', good),
        sync('c', { model: 'lost', destination: 'd' }),
      ],
      'b.yaml': ['kind: model\nname: lost\n  sql: [\n'],
    })
    expect(await stateOf('a')).toBe('usable')
    expect(await stateOf('c')).toMatch(/^config: b.yaml (?!.*there is no model)/)
    expect(await stateOf('lost')).toMatch(/^config: b.yaml /)
  })

  it('where what a sync refers to may be the resource of a misspelt kind', async () => {
    await write({
      'a.yaml': [SOURCE, model('m'), destination('d').replace('destination', 'destinaton')],
      'b.yaml': [destination('e'), sync('a', good), sync('b', { model: 'm', destination: 'e' })],
    })
    expect(await stateOf('a')).toMatch(/^config: a.yaml 12 unknown kind `destinaton`[^|]*$/)
    expect(await stateOf('b')).toBe('usable')
  })

  it('where two resources have one name: neither is taken', async () => {
    await write({
      'a.yaml': [
        SOURCE,
        destination('d'),
        model('m'),
        sync('a', good),
        destination('e'),
        sync('b', { model: 'm', destination: 'e' }),
      ],
      'b.yaml': [destination('d', 'http://other')],
    })
    expect(await stateOf('a')).toMatch(/^config: b.yaml 2 another destination is already called `d`/)
    expect(await stateOf('b')).toBe('usable')
  })

  it('and leaves unknown syncs unknown', async () => {
    await write({ 'a.yaml': [SOURCE, destination('d'), model('m'), sync('a', good)] })
    expect(await stateOf('z')).toBe('not-found: ')
  })
})
