import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageLogContract } from '../contract.ts'
import { createSqliteLog } from './sqlite.ts'

messageLogContract('sqlite', { remote: false }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const file = join(folder, 'log.db')
  const signal = new AbortController().signal
  return {
    open: async () => createSqliteLog({ file }),
    compactNow: async topic => {
      await using log = createSqliteLog({ file })
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
