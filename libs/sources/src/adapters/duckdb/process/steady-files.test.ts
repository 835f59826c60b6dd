import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { modelOf } from '../../../../test/contract.ts'
import { assertSteady, FileChanged, type FileStates, fileStates } from './steady-files.ts'

describe('a file that was read', () => {
  let folder = ''
  let file = ''
  let before: FileStates
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-steady-'))
    file = join(folder, 'people.csv')
    writeFileSync(file, 'id\n1\n')
    const instance = await DuckDBInstance.create()
    before = await fileStates(await instance.connect(), [file])
    instance.closeSync()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const change = (): FileChanged | null => {
    try {
      assertSteady(before, modelOf('FROM people'))
      return null
    } catch (error) {
      if (error instanceof FileChanged) return error
      throw error
    }
  }

  it('and stayed as it is has not changed', () => {
    expect(change()).toBeNull()
  })

  it('and was written in place is never still', async () => {
    writeFileSync(file, 'id\n1\n2\n')
    expect(await change()?.becomesStill()).toBe(false)
  })

  it('and was replaced by one that got its number is still after a while', async () => {
    const was = statSync(file)
    let now = was
    const until = performance.now() + 1_000
    while (performance.now() < until && (now.ino !== was.ino || now.birthtimeMs === was.birthtimeMs)) {
      writeFileSync(`${file}.new`, 'id\n1\n2\n')
      renameSync(`${file}.new`, file)
      now = statSync(file)
    }
    // A file system that does not keep when a file began cannot tell the two apart, and the run fails.
    const isAnother = now.ino !== was.ino || now.birthtimeMs !== was.birthtimeMs
    expect(await change()?.becomesStill()).toBe(isAnother)
  })
})
