/** The notices of alerts that a page shows while it is open: what has begun, and what is over. */
import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { many } from '../ui/format.ts'

export interface PageNotice {
  readonly id: string
  readonly state: 'firing' | 'recovered'
  /** The alert as people know it. */
  readonly alert: string
  readonly sync: string
  readonly text: string
  /** The time at which the condition began, or at which the page saw its end. ISO 8601. */
  readonly at: string
}

/** The most notices that a page keeps. */
export const MAX_NOTICES = 20

/** The present notices of the alerts: the conditions that hold, the newest first. */
export function firingIn(alerts: readonly AlertView[]): readonly PageNotice[] {
  return alerts
    .flatMap(({ name, title, firing }) =>
      firing.map(({ sync, condition, since, text }): PageNotice => {
        const id = `${name} ${sync} ${condition} ${since}`
        return { id, state: 'firing', alert: title ?? name, sync, text, at: since }
      }),
    )
    .sort((one, other) => Date.parse(other.at) - Date.parse(one.at))
}

/** The notices that are due between two looks. `at` is the time of the later look. */
export function noticesBetween(
  before: readonly PageNotice[],
  now: readonly PageNotice[],
  at: string,
): readonly PageNotice[] {
  const [had, has] = [before, now].map(notices => new Set(notices.map(({ id }) => id)))
  return [
    ...now.filter(({ id }) => had?.has(id) === false),
    ...before
      .filter(({ id }) => has?.has(id) === false)
      .map((notice): PageNotice => ({ ...notice, id: `${notice.id} over`, state: 'recovered', at })),
  ]
}

/** The most ids of notices that a page remembers. */
const MAX_TOLD = 10_000

/** The notices that were not told yet. It adds their ids to `told`. */
export function untold(told: Set<string>, due: readonly PageNotice[]): readonly PageNotice[] {
  const fresh = due.filter(({ id }) => !told.has(id))
  for (const { id } of fresh) told.add(id)
  for (const id of told) {
    if (told.size <= MAX_TOLD) break
    told.delete(id)
  }
  return fresh
}

/** The most notices at once that the page shows one by one. */
const MAX_SINGLE = 2

/** The texts that the page shows for new notices, each with the sync that it is about. */
export function textsOf(
  due: readonly PageNotice[],
): readonly { readonly text: string; readonly sync: string | null }[] {
  if (due.length <= MAX_SINGLE)
    return due.map(({ state, alert, sync, text }) => ({
      ...{
        sync,
        text: state === 'firing' ? `${alert}: ${sync}: ${text}` : `${alert}: ${sync}: this is over.`,
      },
    }))
  const begun = due.filter(({ state }) => state === 'firing').length
  const over = due.length - begun
  const parts = [
    ...(begun > 0 ? [`${many(begun, 'alert fires', 'alerts fire')} now`] : []),
    ...(over > 0 ? [`${many(over, 'alert is', 'alerts are')} over`] : []),
  ]
  return [{ sync: null, text: `${parts.join(', ')}.` }]
}
