import { killedRunSuite, runsKilledInARowSuite } from './killed-run.ts'

killedRunSuite(4)
runsKilledInARowSuite()
