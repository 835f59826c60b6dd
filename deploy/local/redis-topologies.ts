/** Redis as a master with a replica behind sentinels, and as a cluster: real processes of this machine. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ensurePrograms } from './install.ts'
import { freePorts } from './ports.ts'
import { exchange } from './probes.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import { Workspace } from './workspace.ts'

export interface RedisTopology extends AsyncDisposable {
  /** As `SLUICE_REDIS_URL` wants it. */
  readonly url: string
  /** The servers, with the master first if there is one. Their addresses are redis:// URLs. */
  readonly nodes: readonly LocalService[]
}

const MASTER = 'mymaster'
const SENTINELS = 3
const CLUSTER_NODES = 3
const START_TIMEOUT_MS = 20_000

/** A master, a replica and three sentinels that fail over within some seconds. */
export function startRedisSentinel(): Promise<RedisTopology> {
  return inWorkspace(async workspace => {
    const [masterPort = 0, replicaPort = 0, ...sentinelPorts] = await freePorts(2 + SENTINELS)
    const replicaOf = ['--replicaof', '127.0.0.1', String(masterPort), '--repl-diskless-sync-delay', '0']
    const master = await startNode(workspace, 'master', masterPort, [])
    const replica = await startNode(workspace, 'replica', replicaPort, replicaOf)
    await Promise.all(
      sentinelPorts.map(port => startSentinel(workspace, { port, masterPort, name: `sentinel-${port}` })),
    )
    await until('the replica to follow', () => says(masterPort, 'INFO replication', /state=online/))
    for (const port of sentinelPorts)
      await until('the sentinels to agree', async () => {
        const agreed = await says(port, `SENTINEL ckquorum ${MASTER}`, /OK 3 usable/)
        return agreed && (await says(port, `SENTINEL replicas ${MASTER}`, new RegExp(`${replicaPort}`)))
      })
    const hosts = sentinelPorts.map(port => `127.0.0.1:${port}`).join(',')
    return { url: `redis+sentinel://${hosts}/${MASTER}/0`, nodes: [master, replica] }
  })
}

/** A cluster of three masters without replicas. */
export function startRedisCluster(): Promise<RedisTopology> {
  return inWorkspace(async workspace => {
    const ports = await freePorts(2 * CLUSTER_NODES)
    const clients = ports.slice(0, CLUSTER_NODES)
    const buses = ports.slice(CLUSTER_NODES)
    const nodes = await Promise.all(
      clients.map((port, at) => {
        const bus = ['--cluster-port', String(buses[at])]
        return startNode(workspace, `node-${at}`, port, ['--cluster-enabled', 'yes', ...bus])
      }),
    )
    const hosts = clients.map(port => `127.0.0.1:${port}`)
    await promisify(execFile)('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes'])
    for (const port of clients)
      await until('the cluster to agree', () => says(port, 'CLUSTER INFO', /cluster_state:ok/))
    return { url: `redis+cluster://${hosts.join(',')}`, nodes }
  })
}

async function inWorkspace(
  start: (workspace: Workspace) => Promise<Pick<RedisTopology, 'url' | 'nodes'>>,
): Promise<RedisTopology> {
  await ensurePrograms([{ command: 'redis-server', debianPackage: 'redis-server' }])
  return withNewPorts(async () => {
    const workspace = new Workspace()
    const close = async (): Promise<void> => {
      await workspace.close({ keepLogs: false })
    }
    try {
      return { ...(await start(workspace)), [Symbol.asyncDispose]: close }
    } catch (error) {
      await close()
      throw error
    }
  })
}

function startNode(
  workspace: Workspace,
  process: string,
  port: number,
  more: readonly string[],
): Promise<LocalService> {
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', workspace.dataFolder(process)]
  return runService(workspace, {
    name: 'redis',
    process,
    address: `redis://127.0.0.1:${port}`,
    command: ['redis-server', ...place, '--save', '', '--appendonly', 'yes', ...more],
    answers: () => says(port, 'PING', /PONG/),
    startTimeoutMs: START_TIMEOUT_MS,
  })
}

async function startSentinel(
  workspace: Workspace,
  of: { readonly name: string; readonly port: number; readonly masterPort: number },
): Promise<void> {
  const folder = workspace.dataFolder(of.name)
  const file = join(folder, 'sentinel.conf')
  const lines = [
    `port ${of.port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${of.masterPort} 2`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  await runService(workspace, {
    name: 'redis',
    process: of.name,
    address: `redis://127.0.0.1:${of.port}`,
    command: ['redis-server', file, '--sentinel'],
    answers: () => says(of.port, 'PING', /PONG/),
    startTimeoutMs: START_TIMEOUT_MS,
  })
}

async function says(port: number, command: string, what: RegExp): Promise<boolean> {
  return what.test((await exchange(port, `${command}\r\n`)).toString())
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (await isSo().catch(() => false)) return
    await delay(50)
  }
  throw new Error(`waited ${START_TIMEOUT_MS} ms for ${what}`)
}
