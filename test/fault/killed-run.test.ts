import { killedRunSuite } from './killed-run.ts'

killedRunSuite(1)
