/** The destinations: the health of each, and how much of its limits is in use. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { DestinationsPage } from '@sluice/contracts/api/operating'
import { type DestinationSpec, type ResourceSpec, DEFAULT_CONCURRENCY } from '@sluice/contracts/resources'
import { sleep } from '@sluice/flow/sleep'
import type { LimitUsage } from '@sluice/rate-limit/port'
import { pageOf } from '../named-pages.ts'
import type { Paging } from '../port.ts'
import type { JudgedDestination } from './destination-health.ts'

/** The page waits at most this long for the limits. */
const MAX_WAIT_MS = 1_000

/** `usage` is null where nobody knows the slots in use. Rejects with the signal's reason. */
export async function destinationsPageOf(
  specs: readonly ResourceSpec[],
  {
    usage,
    judge,
  }: {
    readonly usage: LimitUsage | null
    readonly judge: (spec: DestinationSpec) => JudgedDestination
  },
  { signal, ...paging }: Paging & { readonly signal: AbortSignal },
): Promise<DestinationsPage> {
  const { page, next } = pageOf(
    specs.filter(spec => spec.kind === 'destination'),
    paging,
  )
  const done = new AbortController()
  const timeUp = sleep(MAX_WAIT_MS, { signal: AbortSignal.any([signal, done.signal]) })
  timeUp.catch(() => undefined)
  try {
    const slotsInTime = async (name: string): Promise<number | null> =>
      usage === null ? null : await Promise.race([slotsOf(usage, name), timeUp.then(() => null)])
    const inUse = await Promise.all(page.map(({ name }) => slotsInTime(name)))
    const destinations = page.map((spec, at) => {
      const { name, limits } = spec
      const limit = limits?.concurrency ?? DEFAULT_CONCURRENCY
      return { name, ...judge(spec), concurrency: { limit, inUse: inUse[at] ?? null } }
    })
    return { destinations, next }
  } finally {
    done.abort()
  }
}

/** The slots of a destination that are taken; null if the limits do not answer. */
async function slotsOf(usage: LimitUsage, destination: DestinationSpec['name']): Promise<number | null> {
  try {
    return await usage.slotsTaken(`destination/${destination}`)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return null
  }
}
