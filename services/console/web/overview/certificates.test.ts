import type { SyncView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { certificatesAt, endOf, type Certificate } from './certificates.ts'

const NOW = Date.UTC(2026, 10, 27)
const DAY_MS = 86_400_000

const shown = (side: Certificate['side'], days: number): Certificate => ({
  ...{ side, subject: `CN=${side}` },
  expiresAt: new Date(NOW + days * DAY_MS).toISOString(),
})

function syncTo(destination: string, certificates?: readonly Certificate[]): SyncView {
  return {
    ...{ name: 'people', model: 'people', destination, schedule: 'manual', paused: false, state: 'idle' },
    ...{ lastRun: null, nextRunAt: null, waiting: [], rows: { failed: 0, heldBack: 0 } },
    ...(certificates === undefined ? {} : { certificates: [...certificates] }),
  }
}

describe('the certificates of a destination', () => {
  it('are, for each side, those that end first, over all syncs that send there', () => {
    const syncs = [
      syncTo('api', [shown('server', 90), shown('client', 20)]),
      syncTo('api', [shown('server', 60)]),
      syncTo('other', [shown('server', 1)]),
      syncTo('api'),
    ]
    expect(certificatesAt('api', syncs)).toEqual([shown('server', 60), shown('client', 20)])
    expect(certificatesAt('nothing', syncs)).toEqual([])
  })

  it.each([
    [90, 'good', 'certificate ends in 90 days'],
    [30.1, 'good', 'certificate ends in 30 days'],
    [30, 'soon', 'certificate ends in 30 days'],
    [1.5, 'soon', 'certificate ends in 1 day'],
    [0.5, 'soon', 'certificate ends today'],
    [0, 'ended', 'certificate has ended'],
    [-3, 'ended', 'certificate has ended'],
  ] as const)('with %d days left are shown as %s', (days, state, text) => {
    expect(endOf(shown('server', days), NOW)).toEqual({ state, text })
    expect(endOf(shown('client', days), NOW)).toEqual({ state, text: `client ${text}` })
  })
})
