import type { SourceSpec } from '@sluice/contracts/resources'
import type { Source } from '@sluice/sources/port'
import { expect, it } from 'vitest'
import { EarlySource } from './early-source.ts'

const FILES = { kind: 'source', name: 'files', type: 'duckdb', path: '/data' } as const satisfies SourceSpec
const SERVER = {
  ...{
    kind: 'source',
    name: 'db',
    type: 'postgres',
    host: 'db',
    port: 5432,
    database: 'shop',
    user: 'reader',
  },
  ...{ ssl: 'disable', timeout: 1000 },
} as unknown as SourceSpec

function opener() {
  const said: string[] = []
  const open = (spec: SourceSpec): Promise<Source> => {
    said.push(`open ${spec.name}`)
    const close = (): Promise<void> => {
      said.push(`close ${spec.name}`)
      return Promise.resolve()
    }
    return Promise.resolve({ [Symbol.asyncDispose]: close } as unknown as Source)
  }
  return { said, open }
}

it('opens a source on files at once, and gives it to the first that asks for it', async () => {
  const { said, open } = opener()
  await using early = new EarlySource(FILES, open)
  expect(said).toEqual(['open files'])
  const taken = early.take({ ...FILES })
  expect(await taken).not.toBeNull()
  expect(early.take(FILES), 'each run closes its own').toBeNull()
})

it('is not given to a run that wants another source, or the same one after a change', async () => {
  const { said, open } = opener()
  {
    await using early = new EarlySource(FILES, open)
    expect(early.take(SERVER)).toBeNull()
    expect(early.take({ ...FILES, path: '/other' })).toBeNull()
  }
  expect(said, 'what nobody took is closed').toEqual(['open files', 'close files'])
})

it('opens no source on a server, whose secrets are not known so early', async () => {
  const { said, open } = opener()
  await using early = new EarlySource(SERVER, open)
  expect([early.take(SERVER), said]).toEqual([null, []])
})

it('tells of a failure only who takes the source', async () => {
  const fail = (): Promise<Source> => Promise.reject(new Error('no process'))
  await using untaken = new EarlySource(FILES, fail)
  await using taken = new EarlySource(FILES, fail)
  await expect(taken.take(FILES)).rejects.toThrow('no process')
  expect(untaken).toBeDefined()
})
