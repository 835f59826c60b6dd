import { killedRunSuite, killedTriesSuite, runsKilledInARowSuite } from './killed-run.ts'

killedRunSuite(4)
runsKilledInARowSuite()
for (let round = 1; round <= 2; round += 1) killedTriesSuite(10, 2)
