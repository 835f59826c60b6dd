/**
 * A process of its own for the tests of the state file: holds it open, or commits to it until it is killed,
 * ever new rows or the same ones anew. Says a line for each step.
 */
import { openDeliveredState } from '../src/adapters/duckdb.ts'

const [file = '', what = ''] = process.argv.slice(2)
const state = await openDeliveredState({ file, sync: 'orders', incarnation: 'i', partitions: 1 })
process.stdout.write('open\n')
let offset = (await state.positions()).changes[0] ?? 0
setInterval(() => {}, 1000)

/** So few that each commit leaves more dead rows than the state may have. */
const KEYS = 1500

while (what !== 'hold') {
  const records = Array.from({ length: 500 }, (_, i) => {
    const id = String(what === 'commit' ? offset + i : (offset + i) % KEYS)
    const change = {
      run: 1 + offset,
      seq: i,
      op: 'added',
      key: id,
      before: null,
      beforeState: 'absent',
      after: { id, at: offset + i, filler: id.repeat(20) },
      settledState: null,
      muted: null,
      captured: null,
      retried: null,
      twin: null,
      replayed: null,
    } as const
    return { offset: offset + i, timestamp: 0, change }
  })
  offset += records.length
  await state.feed({ partition: 0, changes: { records, nextOffset: offset } })
  await state.commit()
  process.stdout.write(`${offset}\n`)
}
