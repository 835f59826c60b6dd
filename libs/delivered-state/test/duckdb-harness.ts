/** The delivered state in DuckDB, in a fresh folder for each test of the file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { plainExtracts } from '@sluice/sources/test/plain-extracts'
import type { Source } from '@sluice/sources/port'
import { type DeliveredStateOptions, openDeliveredState } from '../src/adapters/duckdb.ts'
import type { DeliveredState } from '../src/port.ts'
import type { DeliveredStateHarness } from './harness.ts'

export interface DuckdbHarness extends DeliveredStateHarness {
  readonly open: (
    options: Partial<DeliveredStateOptions> & { readonly name: string },
  ) => Promise<DeliveredState>
  /** The path of a file in the folder of the test under way. */
  readonly pathOf: (name: string) => string
}

/** To be called once, at the top of a test file. */
export function duckdbHarness(): DuckdbHarness {
  let folder = ''
  let files = 0
  let extracts: Source
  const { signal } = new AbortController()
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-state-'))
    extracts = plainExtracts(folder)
  })
  afterEach(async () => {
    await extracts[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const pathOf = (name: string): string => join(folder, name)
  return {
    pathOf,
    open: ({ name, ...options }) =>
      openDeliveredState({ file: pathOf(name), sync: 'orders', incarnation: 'i', partitions: 1, ...options }),
    extract(sql) {
      const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
      return extracts.extract(model, { file: pathOf(`extract-${files++}.duckdb`), signal })
    },
  }
}
