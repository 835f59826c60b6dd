import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteCodec } from './adapters/sqlite.ts'
import { schemaCodecLongContract } from '../test/contract.ts'

schemaCodecLongContract('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-codec-'))
  return {
    open: () => createSqliteCodec({ file: join(folder, 'log.db') }),
    close: () => rm(folder, { recursive: true }),
  }
})
