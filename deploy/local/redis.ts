import { ensurePrograms } from './install.ts'
import { freePorts } from './ports.ts'
import { exchange } from './probes.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

/**
 * Starts a Redis that logs every write to disk, as Sluice wants it. A `forgetful` one keeps snapshots at
 * most. Its address is a redis:// URL.
 */
export async function startRedis(
  workspace: Workspace,
  { forgetful }: { readonly forgetful: boolean },
): Promise<LocalService> {
  const [redis = ''] = await ensurePrograms([{ command: 'redis-server', debianPackage: 'redis-server' }])
  return withNewPorts(async () => {
    const [port = 0] = await freePorts(1)
    const folder = workspace.dataFolder('redis')
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
    return runService(workspace, {
      name: 'redis',
      address: `redis://127.0.0.1:${port}`,
      command: [redis, ...place, '--save', '', '--appendonly', forgetful ? 'no' : 'yes'],
      answers: async () => (await exchange(port, 'PING\r\n')).toString().startsWith('+PONG'),
      startTimeoutMs: 20_000,
    })
  })
}
