/** Stores attempts in an index, batch by batch, until it is killed. Tells of each batch that is stored. */
import { createSqliteIndex } from '../src/adapters/sqlite.ts'

const [file = ''] = process.argv.slice(2)
const index = createSqliteIndex({ file, maxBytes: 1e9, keepsBodies: false })
const place = { sync: 's', incarnation: 'i', topic: 'attempts', partition: 0 } as const
const BATCH = 50
for (let n = index.position(place) ?? 0; ; n += BATCH) {
  const attempts = Array.from({ length: BATCH }, (_, i) => ({
    ...{
      run: 1,
      runId: 'R1',
      seq: n + i,
      requestOffset: n + i,
      offset: n + i,
      attempt: 1,
      trigger: 'added' as const,
    },
    ...{ outcome: 'rejected' as const, status: 422, error: `no ${n + i}`, method: 'PUT', url: 'http://api/' },
    ...{ startedAt: n + i, durationMs: 1, keys: [`k${n + i}`], details: null },
  }))
  index.addAttempts({ place, attempts, next: n + BATCH })
  process.send?.(n + BATCH)
  // The parent's messages, and the end of the process, get their turn.
  await new Promise(resolve => setImmediate(resolve))
}
