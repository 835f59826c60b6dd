import { historyIndexContract } from '../../test/contract.ts'
import { createSqliteIndex } from './sqlite.ts'

historyIndexContract('SQLite', {
  open: options => createSqliteIndex({ keepsBodies: false, maxBytes: 1e9, ...options }),
})
