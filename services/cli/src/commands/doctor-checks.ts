/** The checks of `sluice doctor` that belong to the command: its version, the project, and a server. */
import { SluiceError, isSluiceError } from '@sluice/contracts/errors'
import { clockCheck, looked, ok, problem, warning, type Check } from '@sluice/control/health/check'
import type { Control } from '@sluice/control/port'

const MIN_NODE = 24

export function versionChecks(sluice: string, node: string): readonly Check[] {
  const isNew = Number.parseInt(node, 10) >= MIN_NODE
  const found = `sluice ${sluice} on Node ${node}`
  if (isNew) return [ok('versions', found)]
  return [problem('versions', found, `install Node ${MIN_NODE} or later from https://nodejs.org`)]
}

/**
 * Loads the project. A mistake in it is a problem, though it stops only the syncs that use it.
 */
export async function projectChecks(
  dir: string,
  environment: string | null,
  /** `unattended` counts the syncs with a schedule that no process runs. */
  load: () => Promise<{ readonly syncs: number; readonly unattended: number }>,
): Promise<readonly Check[]> {
  try {
    const { syncs, unattended } = await load()
    const place = environment === null ? dir : `${dir}, environment ${environment}`
    if (syncs > 0) {
      const found = ok('project', `${place}, ${syncs} ${syncs === 1 ? 'sync' : 'syncs'}`)
      return unattended === 0 ? [found] : [found, unattendedCheck(unattended)]
    }
    return [warning('project', `${place} has no sync`, '`sluice init` writes a project that runs')]
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return [problem('project', error.message, '`sluice validate` shows each mistake with its place')]
  }
}

function unattendedCheck(count: number): Check {
  const found =
    count === 1
      ? '1 sync has a schedule, and no process runs it'
      : `${count} syncs have schedules, and no process runs them`
  return warning('schedules', found, '`sluice up` runs schedules as long as it runs')
}

const PATIENCE_MS = 5_000

export async function serverChecks(
  url: string,
  control: Control,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const reached = await looked('server', () => healthChecks(url, signal), {
    advice: 'start the server (`sluice up`, or the console), or put SLUICE_URL right',
    signal,
  })
  if (reached.some(({ status }) => status === 'unreachable')) return reached
  const asked = await looked('token', () => tokenChecks(control, signal), {
    advice: 'set SLUICE_TOKEN to a token that the server takes',
    signal,
  })
  // Any HTTP server may answer `/readyz`. Only Sluice answers `listSyncs`.
  const other = asked.find(({ status }) => status === 'unreachable')
  if (other === undefined) return [...reached, ...asked]
  const clock = reached.filter(({ check }) => check !== 'server')
  return [{ ...other, check: 'server', advice: SERVER_ADVICE }, ...clock]
}

const SERVER_ADVICE =
  'put SLUICE_URL right: it wants the address of a `sluice up` or a console of this version'

async function healthChecks(url: string, signal: AbortSignal): Promise<readonly Check[]> {
  const since = performance.now()
  const response = await asked(new URL('/readyz', url), signal)
  const tookMs = performance.now() - since
  const date = Date.parse(response.headers.get('date') ?? '')
  const state: Check = response.ok
    ? ok('server', `${url} is ready`)
    : {
        check: 'server',
        status: 'problem',
        found: `${url} is not ready: it answered ${response.status}`,
        advice: 'its /readyz says what it waits for',
      }
  return Number.isNaN(date) ? [state] : [state, clockCheck("the server's clock", date, tookMs + 1000)]
}

async function asked(url: URL, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) })
  } catch (cause) {
    signal.throwIfAborted()
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause)
    throw new SluiceError('unreachable', `${url.origin} does not answer: ${why}`, { cause })
  }
}

async function tokenChecks(control: Control, signal: AbortSignal): Promise<readonly Check[]> {
  const { syncs } = await control.call('listSyncs', { limit: 1 }, { signal })
  return [ok('token', syncs.length === 0 ? 'is taken; the server has no sync' : 'is taken')]
}
