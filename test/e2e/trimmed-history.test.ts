import { trimmedHistorySuite } from './trimmed-history.ts'

trimmedHistorySuite('SQLite', null)
