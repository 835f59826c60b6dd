/** What is looked at where a server has the project. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Control } from '@sluice/control/port'
import { clockCheck, looked, ok, type Check } from '@sluice/control/health/check'

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
  // Whatever answers to anything is ready. Only Sluice answers a question.
  const other = asked.find(({ status }) => status === 'unreachable')
  if (other === undefined) return [...reached, ...asked]
  const clock = reached.filter(({ check }) => check !== 'server')
  return [{ ...other, check: 'server', advice: OF_A_SERVER }, ...clock]
}

const OF_A_SERVER = 'put SLUICE_URL right: it wants the address of a `sluice up` or a console of this version'

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
