import { killedProcessesSuite } from './killed-processes.ts'

killedProcessesSuite(3)
