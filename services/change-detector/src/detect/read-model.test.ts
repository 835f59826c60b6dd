import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Extract, Source } from '@sluice/sources/port'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readModel } from './read-model.ts'

const { signal } = new AbortController()
let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-reading-'))
  file = join(folder, 'extract.duckdb')
})
afterEach(() => rm(folder, { recursive: true }))

/** A source whose query writes a file, and ends as `end` does. */
function sourceThat(end: (signal: AbortSignal) => Promise<void>) {
  const said: string[] = []
  const extract = async (_model: unknown, of: { file: string; signal: AbortSignal }): Promise<Extract> => {
    said.push(existsSync(of.file) ? 'found a file' : 'began')
    await writeFile(of.file, 'rows')
    await end(of.signal)
    said.push('ended')
    return { file: of.file, columns: [], rowCount: 1 }
  }
  return { said, source: { extract } as unknown as Source }
}
const read = (source: Source) => readModel({ source, definition: sampleDefinition(), file, signal })

it('begins before anybody asks for the rows, without what an earlier attempt left', async () => {
  await writeFile(file, 'left')
  const { said, source } = sourceThat(() => Promise.resolve())
  await using reading = read(source)
  await reading.over()
  expect(said).toEqual(['began', 'ended'])
  expect(await reading.rows()).toMatchObject({ file, rowCount: 1 })
})

it('ends when it is not wanted any more, and leaves no file', async () => {
  const began = Promise.withResolvers<void>()
  const { said, source } = sourceThat(of => {
    began.resolve()
    return new Promise((_, reject) => of.addEventListener('abort', () => reject(of.reason as Error)))
  })
  {
    await using _reading = read(source)
    await began.promise
    expect(existsSync(file)).toBe(true)
  }
  expect(said).not.toContain('ended')
  expect(existsSync(file)).toBe(false)
})

it('tells of a failure only who wants the rows', async () => {
  const { source } = sourceThat(() => Promise.reject(new Error('no such column')))
  await using reading = read(source)
  await reading.over()
  await expect(reading.rows()).rejects.toThrow('no such column')
})
