import { killedTriesSuite } from './killed-run.ts'

killedTriesSuite(3)
