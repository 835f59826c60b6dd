/** SLUICE_TEST_KILLS sets how many kills there are. */
import { killedProcessesSuite } from './killed-processes.ts'

killedProcessesSuite(Number(process.env['SLUICE_TEST_KILLS'] ?? 20))
