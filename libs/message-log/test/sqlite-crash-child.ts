/**
 * The process that the crash test kills. It appends batches of 1 to 40 records to two partitions, several
 * under way at once. It prints partition, number and size of each batch once it is acknowledged. Arguments:
 * file, number of the first batch, bytes after which a thread writes (optional).
 */
import { writeSync } from 'node:fs'
import { createSqliteLog } from '../src/adapters/sqlite.ts'

const [file = '', first = '0', threadAfterBytes] = process.argv.slice(2)
const { signal } = new AbortController()
const log = createSqliteLog(
  threadAfterBytes === undefined ? { file } : { file, threadAfterBytes: Number(threadAfterBytes) },
)
await log.ensureTopics([{ topic: 'crash', partitions: 2, cleanup: 'delete' }], { signal })
const writer = await log.openWriter('crash', { signal })
let next = Number(first)

async function appendForEver(partition: number): Promise<void> {
  for (;;) {
    const number = next++
    const size = 1 + (number % 40)
    const records = Array.from({ length: size }, (_, i) => ({
      key: Buffer.from(`${number}/${size}/${i}`),
      value: Buffer.alloc(number % 13 === 0 ? 20_000 : 200, 'v'),
    }))
    await writer.append({ topic: 'crash', partition }, records, { signal })
    // Synchronous, so that it has printed all acknowledged batches at the moment of the kill.
    writeSync(1, `${partition} ${number} ${size}\n`)
  }
}

writeSync(1, 'ready\n')
await Promise.all([0, 1, 0, 1, 0].map(appendForEver))
