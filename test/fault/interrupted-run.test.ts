import { interruptedRunSuite } from './interrupted-run.ts'

interruptedRunSuite({ signals: ['SIGTERM'], twice: false })
