import { killedRunSuite, killedTriesSuite } from './killed-run.ts'

killedRunSuite(1)
killedTriesSuite(3)
