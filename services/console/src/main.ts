/** The process of the console. */
import { runService } from '@sluice/runtime/run-service'
import { start } from './compose.ts'
import { readConfig } from './config.ts'

process.exit(await runService({ name: 'console', config: readConfig, start }))
