/** Control of a folder through the process that serves it. */
import { openUp } from '@sluice/cli/compose'
import { controlContract } from '@sluice/control/test/contract'
import { createLogger } from '@sluice/runtime/logger'
import { controlHarness } from './control.ts'

controlContract('a server', apiUrl =>
  controlHarness(apiUrl, async (dir, env, opening) => {
    const ending = new AbortController()
    const up = opening.use(
      await openUp({
        dir,
        env: { ...env, SLUICE_PORT: '0' },
        logger: createLogger({ name: 'test', level: 'silent' }),
        signal: ending.signal,
        tell: () => undefined,
      }),
    )
    opening.defer(() => {
      ending.abort(new Error('the test ends'))
      return up.ended
    })
    return { SLUICE_URL: up.url }
  }),
)
