import { interruptedRunSuite } from './interrupted-run.ts'

interruptedRunSuite({ signals: ['SIGINT'], twice: true })
