import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { createDuckdbSource } from '@sluice/sources/adapters/duckdb'
import { deliveredStateContract } from '../contract.ts'
import type { DeliveredStateHarness } from '../contract/harness.ts'
import { openDeliveredState } from './duckdb.ts'

let folder = ''
let extracts = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-state-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const harness: DeliveredStateHarness = {
  open: ({ name, ...options }) =>
    openDeliveredState({
      file: join(folder, name),
      sync: 'orders',
      incarnation: 'i',
      partitions: 1,
      ...options,
    }),
  async extract(sql) {
    const source = createDuckdbSource({ spec: { kind: 'source', name: 's', type: 'duckdb', path: folder } })
    const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
    const file = join(folder, `extract-${extracts++}.duckdb`)
    return source.extract(model, { file, signal: new AbortController().signal })
  },
}

deliveredStateContract('duckdb', () => harness)
