import { killedRunSuite, killedTriesSuite, runsKilledInARowSuite } from './killed-run.ts'

killedRunSuite(2)
runsKilledInARowSuite()
killedTriesSuite(10, 2)
