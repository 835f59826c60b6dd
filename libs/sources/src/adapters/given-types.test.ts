import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { GivenSources } from './given.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-given-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('runs no SQL that stands in place of a type', async () => {
  const written = join(folder, 'written.csv')
  const model: ModelSpec = { kind: 'model', name: 'm', source: 's', table: 't', primaryKey: 'id' }
  await using sources = new GivenSources(folder)
  const types = { id: `INTEGER); COPY (SELECT 1) TO '${written}'; CREATE TABLE more (id INTEGER` }
  const source = sources.open({ rows: [], types })
  const { signal } = new AbortController()
  const error: unknown = await source
    .extract(model, { file: join(folder, 'extract'), signal })
    .catch((thrown: unknown) => thrown)
  expect(existsSync(written)).toBe(false)
  expect(error).toBeInstanceOf(SluiceError)
})
