import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cannotLoad } from './errors.ts'
import { type LoadedColumn, loadRows } from './load-rows.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-load-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const columns: readonly LoadedColumn[] = [
  { name: 'n', type: { kind: 'long' }, readAs: 'BIGINT', value: place => place },
  { name: 't', type: { kind: 'text' }, readAs: 'VARCHAR', value: place => place },
]
const ROWS = 60

function load(memoryBytes: number): Promise<number> {
  const text = Readable.from(
    (function* () {
      for (let n = 0; n < ROWS; n += 1) yield Buffer.from(`${n}\t${'x'.repeat(1_000_000)}\n`)
    })(),
  )
  const { signal } = new AbortController()
  return loadRows({ file: join(folder, `${memoryBytes}.duckdb`), columns, text, memoryBytes, signal })
}

describe('rows of a server', { timeout: 60_000 }, () => {
  it('are loaded with the memory that the caller gives, and fail with that reason if it is too little', async () => {
    await expect(load(256_000_000)).resolves.toBe(ROWS)
    const error: unknown = await load(48_000_000).catch((reason: unknown) => reason)
    const names = { source: 'crm', server: 'a server', secrets: [], passwordName: null }
    const model = { kind: 'model', name: 'm', source: 'crm', table: 't', primaryKey: 'n' } as const
    expect(cannotLoad(error, names, { model, file: 'f', columns })).toMatchObject({
      code: 'query',
      message: expect.stringContaining('set SLUICE_MEMORY higher') as string,
    })
  })
})
