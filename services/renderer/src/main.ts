/** The process of the renderer. */
import { runService } from '@sluice/runtime/run-service'
import { start } from './compose.ts'
import { readConfig } from './config.ts'

process.exit(await runService({ name: 'renderer', config: readConfig, start }))
