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
  figures.attempted('people', 'delivered', 1)
  figures.attempted('people', 'delivered', 1)
  figures.attempted('orders', 'throttled', 1)
  figures.leaseWaited('people', 30)
  figures.ended('people', 'warning', 30_000)
  figures.ended('people', 'failed', null)
  figures.sends('people', 'crm')
  figures.tokenAsked('crm', 'granted')
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
      'sluice_run_duration_seconds_bucket{le="20",sync="people",status="warning"} 0',
      'sluice_run_duration_seconds_bucket{le="60",sync="people",status="warning"} 1',
      'sluice_sync_info{sync="people",destination="crm"} 1',
      'sluice_token_requests_total{destination="crm",result="granted"} 1',
      'sluice_requests_in_flight{sync="people"} 1',
      'sluice_requests_in_flight{sync="orders"} 1',
    ]),
  )
})

it('begins to count at 0, since a counter that appears at 1 has not risen', async () => {
  const metrics = createMetrics()
  const figures = figuresAsMetrics(metrics)
  figures.known('people')
  figures.takenOver('attempts', 'people')
  figures.tokenAsked('crm', 'granted')
  const lines = (await metrics.text()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_runs_total{sync="people",status="failed"} 0',
      'sluice_runs_total{sync="people",status="success"} 0',
      'sluice_attempts_total{sync="people",outcome="rejected"} 0',
      'sluice_token_requests_total{destination="crm",result="refused"} 0',
    ]),
  )
  figures.ended('people', 'failed', 1)
  figures.known('people')
  expect(await metrics.text()).toContain('sluice_runs_total{sync="people",status="failed"} 1')
})

it('shows the syncs that were counted last, and of those before nothing any more', async () => {
  const metrics = createMetrics()
  const figures = figuresAsMetrics(metrics, 2)
  for (const sync of ['a', 'b', 'c']) {
    figures.ended(sync, 'success', 1)
    figures.sends(sync, 'crm')
    figures.leaseWaited(sync, 1)
    figures.inFlight(sync, 1)
    figures.setAside('changes', sync, 1)
  }
  const text = await metrics.text()
  expect(['a', 'b', 'c'].map(sync => text.includes(`sync="${sync}"`))).toEqual([false, true, true])
})

it('sums what is left over the partitions of this process, and shows no sync that it does not work on', async () => {
  const metrics = createMetrics()
  const figures = figuresAsMetrics(metrics)
  figures.backlog('people', 0, { requests: 4, oldestMs: 2_000 })
  figures.backlog('people', 1, { requests: 3, oldestMs: 5_000 })
  figures.backlog('orders', 0, { requests: 1, oldestMs: 0 })
  figures.backlog('orders', 0, null)
  const before = await metrics.text()
  expect(before).toContain('sluice_backlog_requests{sync="people"} 7\n')
  expect(before).toContain('sluice_backlog_oldest_seconds{sync="people"} 5\n')
  expect(before).not.toContain('orders')
  figures.backlog('people', 1, null)
  expect(await metrics.text()).toContain('sluice_backlog_requests{sync="people"} 4\n')
})
