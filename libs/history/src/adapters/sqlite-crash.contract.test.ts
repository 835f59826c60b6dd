/** A process that is killed while it fills the index. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createSqliteIndex } from './sqlite.ts'

const CHILD = fileURLToPath(new URL('../../test/index-crash-child.ts', import.meta.url))
const PLACE = { sync: 's', incarnation: 'i', topic: 'attempts', partition: 0 } as const
const BATCHES = 20
const { signal } = new AbortController()

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-history-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('holds after kill -9 exactly what stands before its position, and goes on from there', async () => {
  const file = join(folder, 'history.db')
  for (let kill = 0; kill < 3; kill += 1) {
    const child = fork(CHILD, [file], { execArgv: ['--disable-warning=ExperimentalWarning'] })
    let told = 0
    for (let n = 0; n < BATCHES; n += 1) told = Number((await once(child, 'message'))[0])
    child.kill('SIGKILL')
    await once(child, 'exit')
    const index = createSqliteIndex({ file, maxBytes: 1e9, keepsBodies: false })
    const position = index.position(PLACE) ?? 0
    expect(position).toBeGreaterThanOrEqual(told)
    expect(index.size().attempts).toBe(position)
    const { sync, incarnation } = PLACE
    const figures = await index.counts({ sync, incarnation, run: { id: 'R1', number: 1 } }, { signal })
    expect(figures.reduce((sum, { count }) => sum + count, 0)).toBe(position)
    await index[Symbol.asyncDispose]()
  }
})
