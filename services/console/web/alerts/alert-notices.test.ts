import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { expect, it } from 'vitest'
import { firingIn, noticesBetween } from './alert-notices.ts'

const NOW = '2026-01-01T12:00:00.000Z'
const firing = (sync: string, since: string) => ({
  ...{ sync, condition: 'run-failed', since, run: null, text: `${sync} does not answer` },
})
const alert = (...conditions: readonly ReturnType<typeof firing>[]) =>
  ({ name: 'team', title: 'Data team', firing: conditions }) as unknown as AlertView

it('tells each condition once as it begins, and once as it is over', () => {
  const [crm, shop] = [firing('crm', '2026-01-01T10:00:00.000Z'), firing('shop', '2026-01-01T11:00:00.000Z')]
  const before = firingIn([alert(crm)])
  const now = firingIn([alert(crm, shop)])
  expect(now.map(({ sync }) => sync)).toEqual(['shop', 'crm'])
  expect(noticesBetween(before, now, NOW)).toMatchObject([
    { state: 'firing', alert: 'Data team', sync: 'shop', text: 'shop does not answer', at: shop.since },
  ])
  expect(noticesBetween(now, firingIn([alert(shop)]), NOW)).toMatchObject([
    { state: 'recovered', sync: 'crm', at: NOW },
  ])
  expect(noticesBetween(now, now, NOW)).toEqual([])
})
