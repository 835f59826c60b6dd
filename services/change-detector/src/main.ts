/** The process of the change-detector. */
import { runService } from '@sluice/runtime/run-service'
import { start } from './compose.ts'
import { readConfig } from './config.ts'

process.exit(await runService({ name: 'change-detector', config: readConfig, start }))
