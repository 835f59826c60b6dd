import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { expect, it } from 'vitest'
import { firingIn, noticesBetween, textsOf, untold } from './alert-notices.ts'

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

it('tells no notice twice, even if an answer lacks its alert in between', () => {
  const crm = firingIn([alert(firing('crm', '2026-01-01T10:00:00.000Z'))])
  const told = new Set<string>()
  expect(untold(told, noticesBetween([], crm, NOW))).toHaveLength(1)
  expect(untold(told, noticesBetween(crm, [], NOW))).toHaveLength(1)
  expect(untold(told, noticesBetween([], crm, NOW))).toEqual([])
  expect(untold(told, noticesBetween(crm, [], NOW))).toEqual([])
  const again = firingIn([alert(firing('crm', '2026-01-01T11:00:00.000Z'))])
  expect(untold(told, noticesBetween([], again, NOW))).toHaveLength(1)
})

it('shows many notices at once as one', () => {
  const at = '2026-01-01T10:00:00.000Z'
  const three = firingIn([alert(firing('crm', at), firing('shop', at), firing('mail', at))])
  expect(textsOf(three.slice(0, 1))).toEqual([{ sync: 'crm', text: 'Data team: crm: crm does not answer' }])
  expect(textsOf(noticesBetween([], three, NOW))).toEqual([{ sync: null, text: '3 alerts fire now.' }])
  expect(textsOf([...noticesBetween(three, [], NOW), ...three.slice(0, 1)])).toEqual([
    { sync: null, text: '1 alert fires now, 3 alerts are over.' },
  ])
})
