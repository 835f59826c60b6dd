import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageLogContract } from '../../test/contract.ts'
import { createSqliteLog } from './sqlite.ts'

// By default, a thread writes once much has been written. Here it does from the start.
for (const [name, threadAfterBytes] of [
  ['sqlite', undefined],
  ['sqlite, written by a thread', 0],
] as const)
  messageLogContract(name, { remote: false }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
    const file = join(folder, 'log.db')
    const signal = new AbortController().signal
    const options = threadAfterBytes === undefined ? { file } : { file, threadAfterBytes }
    return {
      open: async () => createSqliteLog(options),
      compactNow: async topic => {
        await using log = createSqliteLog(options)
        await log.compact(topic, { signal })
      },
      forgetGroup: async group => {
        const db = new DatabaseSync(file)
        db.prepare('DELETE FROM log_commit WHERE member_group = ?').run(group)
        db.close()
      },
      close: async () => rmSync(folder, { recursive: true }),
    }
  })
