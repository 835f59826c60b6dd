/** Makes the notices of alerts. */
import type { AlertNotice, NoticeRun } from '@sluice/contracts/specs/alert-views'
import type { AlertConditionName } from '@sluice/contracts/specs/alert-specs'
import { lasting } from './wording.ts'

/** The beginning or the end of a condition. */
export interface ConditionChange {
  readonly condition: AlertConditionName
  readonly state: 'firing' | 'recovered'
  readonly at: number
  readonly since: number
  readonly text: string
  readonly run: NoticeRun | null
}

const BEGUN: { readonly [C in AlertConditionName]: string } = {
  'run-failed': 'a run failed',
  'rows-failed': 'rows did not arrive',
  held: 'a run waits for approval',
  slow: 'a run takes long',
  silent: 'no run succeeds',
  lagging: 'the stream is behind',
  'certificate-expiring': 'a certificate expires',
  'auth-failing': 'the destination refuses the credentials',
  'destination-failing': 'the destination fails',
}

const OVER: { readonly [C in AlertConditionName]: string } = {
  'run-failed': 'runs go through again',
  'rows-failed': 'rows arrive again',
  held: 'no run waits for approval any more',
  slow: 'runs are fast enough again',
  silent: 'a run succeeded again',
  lagging: 'the stream has caught up',
  'certificate-expiring': 'no certificate expires soon any more',
  'auth-failing': 'the destination takes the credentials again',
  'destination-failing': 'the destination takes requests again',
}

interface NoticeOptions {
  readonly id: string
  readonly alert: string
  readonly sync: string
  readonly change: ConditionChange
  readonly now: number
}

/**
 * Returns the notice of a change. The errors of the run and the link are added later, since they need more
 * than the state.
 */
export function noticeOf({ id, alert, sync, change, now }: NoticeOptions): AlertNotice {
  const { condition, state, at, since, text, run } = change
  const isOver = state === 'recovered'
  const after = isOver ? ` after ${lasting(at - since)}` : ''
  return {
    ...{ id, alert, sync, condition, state, run, text },
    at: new Date(now).toISOString(),
    since: new Date(since).toISOString(),
    title: `${sync}: ${(isOver ? OVER : BEGUN)[condition]}${after}`,
    todo: isOver ? null : todoOf(condition, { sync, run: run?.id ?? null }),
    errors: [],
    link: null,
  }
}

/** Returns a notice that only tests whether notices arrive. */
export function testNotice({
  id,
  alert,
  link,
  now,
}: Pick<AlertNotice, 'id' | 'alert' | 'link'> & { readonly now: number }): AlertNotice {
  const at = new Date(now).toISOString()
  return {
    ...{ id, alert, link, at, since: at },
    ...{ sync: null, condition: null, state: 'test', run: null, errors: [], todo: null },
    title: `Test of the alert ${alert}`,
    text: 'Nothing has happened. Somebody asked for this notice, to see that notices arrive.',
  }
}

function todoOf(
  condition: AlertConditionName,
  { sync, run }: { readonly sync: string; readonly run: string | null },
): string {
  const show = run === null ? `\`sluice runs ${sync}\`` : `\`sluice runs show ${run}\``
  switch (condition) {
    case 'run-failed':
      return `${show} says more. Mend the cause, then \`sluice run ${sync}\`.`
    case 'rows-failed':
      return `\`sluice failed ${sync}\` lists the rows, and says whether the next run tries them again.`
    case 'held':
      return `${show} says why. \`sluice approve ${run ?? 'RUN'}\` lets it go on, \`sluice cancel ${run ?? 'RUN'}\` ends it.`
    case 'slow':
      return `${show} says what it waits for. \`sluice cancel ${run ?? 'RUN'}\` ends it in good order.`
    case 'silent':
      return `\`sluice runs ${sync}\` lists its runs. If there are none, see whether its schedule, and the services, are at work.`
    case 'lagging':
      return '`sluice syncs` has its lag, and what it waits for. A limit, a slow API or a slow source may hold it up.'
    case 'certificate-expiring':
      return 'Renew the certificate, and put it where the destination names it in `tls`.'
    case 'auth-failing':
      return 'Set the secret again with `sluice secret set NAME`, or log in again with `sluice auth DESTINATION`.'
    case 'destination-failing':
      return '`sluice destinations` has the state of all destinations, and what mends each.'
    default:
      return condition satisfies never
  }
}
