import { limitedHistorySuite, trimmedHistorySuite } from './trimmed-history.ts'

trimmedHistorySuite('SQLite', null)
limitedHistorySuite()
