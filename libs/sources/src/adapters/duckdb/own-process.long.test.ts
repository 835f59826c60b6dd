/** The suites of queries on files, each query in a process of its own, as in production. */
import { folderFilesSuite } from '../../../test/folder-files.ts'
import { strangerSqlSuite } from '../../../test/stranger-sql.ts'
import type { Source } from '../../port.ts'
import { createDuckdbSource } from '../duckdb.ts'

const open = (path: string): Source =>
  createDuckdbSource({ spec: { kind: 'source', name: 'shop', type: 'duckdb', path } })

folderFilesSuite('in a process of its own', open)
strangerSqlSuite('in a process of its own', open)
