/** What `sluice doctor` looks at in a folder. */
import type { Check } from '@sluice/control/health/check'
import { folderChecks } from '@sluice/embedded/doctor/folder-checks'
import { dataDirOf } from '@sluice/embedded/state-folder'
import { secretOf, type Environment } from '@sluice/runtime/environment'
import { folderSocket } from '../folder/folder-socket.ts'

/** `dir` is the project folder, absolute. Throws `config`. */
export async function checksOfFolder({
  dir,
  env,
  signal,
}: {
  readonly dir: string
  readonly env: Environment
  readonly signal: AbortSignal
}): Promise<readonly Check[]> {
  const dataDir = dataDirOf({ dir, env })
  const checks = await folderChecks(dir, dataDir, { socket: folderSocket(dataDir), env })
  // Without it the limits are those of the folder.
  if (secretOf(env, 'SLUICE_REDIS_URL') === undefined) return checks
  const [{ redisLooks }, { redisInspection }] = await Promise.all([
    import('@sluice/control/health/kafka-checks'),
    import('@sluice/embedded/doctor/compose'),
  ])
  return [...checks, ...(await redisLooks(redisInspection(env), signal))]
}
