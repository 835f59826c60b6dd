/** The notices of alerts that a page shows while it is open: what has begun, and what is over. */
import type { AlertView } from '@sluice/contracts/specs/alert-views'

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
