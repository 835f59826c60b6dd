/** Shows alerts with their states, and sends test notices. */
import { randomBytes } from 'node:crypto'
import type { AlertsView, AlertTestedView } from '@sluice/contracts/specs/alert-views'
import { SluiceError } from '@sluice/contracts/errors'
import type { AlertSpec, ResourceSpec } from '@sluice/contracts/resources'
import { shownTarget } from '@sluice/contracts/specs/alert-specs'
import { nearestName } from '@sluice/domain/nearest-name'
import { readAlertStates, alertsViewOf } from '@sluice/alerts/keep/alert-records'
import { testNotice } from '@sluice/alerts/notice/notice-of'
import { sendNotice, type SendNoticeDeps } from '@sluice/alerts/send/send-notice'
import type { Vault } from '@sluice/secrets/vault/vault'
import type { Pipeline } from '../pipeline.ts'

export type OpenNoticeSenders = (vault: Vault | null) => Promise<SendNoticeDeps & AsyncDisposable>

/** The alerts among the resources. `pipeline` is null where nothing ever ran. */
export async function alertsOf(
  resources: readonly ResourceSpec[],
  pipeline: Pick<Pipeline, 'log' | 'io' | 'prefix'> | null,
  signal: AbortSignal,
): Promise<AlertsView> {
  const states = pipeline === null ? [] : (await readAlertStates(pipeline, signal)).values()
  return alertsViewOf(alertsIn(resources), states)
}

/** Sends a test notice. Throws as `Control.call` says. */
export async function testAlert(
  name: string,
  options: {
    readonly resources: readonly ResourceSpec[]
    readonly openNoticeSenders: OpenNoticeSenders
    readonly vault: Vault | null
    readonly signal: AbortSignal
  },
): Promise<AlertTestedView> {
  const { resources, openNoticeSenders, vault, signal } = options
  const alerts = alertsIn(resources)
  const alert = alerts.find(each => each.name === name)
  if (alert === undefined) throw unknownAlert(name, alerts)
  await using senders = await openNoticeSenders(vault)
  const id = `msg_${randomBytes(16).toString('hex')}`
  const notice = testNotice({ id, alert: name, link: null, now: senders.now() })
  const why = await sendNotice(alert, notice, senders, { signal })
  const to = shownTarget(alert.to)
  if (why === null) return { alert: name, to, id }
  throw new SluiceError('unreachable', `The alert \`${name}\` could not be sent to ${to}: ${why}`)
}

function alertsIn(resources: readonly ResourceSpec[]): AlertSpec[] {
  return resources.filter(spec => spec.kind === 'alert')
}

function unknownAlert(name: string, alerts: readonly AlertSpec[]): SluiceError {
  const names = alerts.map(alert => alert.name)
  const near = nearestName(name, names)
  const hint =
    near !== null
      ? `did you mean \`${near}\`?`
      : names.length === 0
        ? 'the project has no alert.'
        : `the alerts are ${names.map(each => `\`${each}\``).join(', ')}.`
  return new SluiceError('not-found', `There is no alert \`${name}\`: ${hint}`)
}
