/** The suites of queries on files, each query in a process of its own, as in production. */
import { folderFilesSuite } from '../../contract/folder-files.ts'
import { strangerSqlSuite } from '../../contract/stranger-sql.ts'
import type { Source } from '../../port.ts'
import { createDuckdbSource } from '../duckdb.ts'

const open = (path: string): Source =>
  createDuckdbSource({ spec: { kind: 'source', name: 'shop', type: 'duckdb', path } })

folderFilesSuite('in a process of its own', open)
strangerSqlSuite('in a process of its own', open)
