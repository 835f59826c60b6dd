import { expect, it } from 'vitest'
import { createMetrics } from '@sluice/runtime/metrics'
import { figuresAsMetrics } from './figures-as-metrics.ts'

it('shows what the stages count, by sync', async () => {
  const metrics = createMetrics()
  const figures = figuresAsMetrics(metrics)
  figures.takenOver('requests', 'people')
  figures.published('people', 'added', 1000)
  figures.published('people', 'changed', 0)
  figures.rendered('people', 'added', 'request')
  figures.rendered('people', 'added', 'unrenderable')
  figures.attempted('people', 'delivered')
  figures.attempted('people', 'delivered')
  figures.attempted('orders', 'throttled')
  figures.leaseWaited('people', 30)
  figures.ended('people', 'warning')
  figures.inFlight('people', 1)
  figures.inFlight('people', 1)
  figures.inFlight('people', -1)
  figures.inFlight('orders', 1)
  const lines = (await metrics.text()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_takeovers_total{stage="requests",sync="people"} 1',
      'sluice_changes_published_total{sync="people",op="added"} 1000',
      'sluice_requests_rendered_total{sync="people",trigger="added",result="request"} 1',
      'sluice_requests_rendered_total{sync="people",trigger="added",result="unrenderable"} 1',
      'sluice_attempts_total{sync="people",outcome="delivered"} 2',
      'sluice_attempts_total{sync="orders",outcome="throttled"} 1',
      'sluice_lease_wait_seconds_bucket{le="0.02",sync="people"} 0',
      'sluice_lease_wait_seconds_bucket{le="0.1",sync="people"} 1',
      'sluice_runs_total{sync="people",status="warning"} 1',
      'sluice_requests_in_flight{sync="people"} 1',
      'sluice_requests_in_flight{sync="orders"} 1',
    ]),
  )
})

it('shows the syncs that were counted last, and of those before nothing any more', async () => {
  const metrics = createMetrics()
  const figures = figuresAsMetrics(metrics, 2)
  for (const sync of ['a', 'b', 'c']) {
    figures.ended(sync, 'success')
    figures.leaseWaited(sync, 1)
    figures.inFlight(sync, 1)
    figures.setAside('changes', sync, 1)
  }
  const text = await metrics.text()
  expect(['a', 'b', 'c'].map(sync => text.includes(`sync="${sync}"`))).toEqual([false, true, true])
})
