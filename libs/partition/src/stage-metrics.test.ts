import { expect, it } from 'vitest'
import { createMetrics } from '@sluice/runtime/metrics'
import { createStageMetrics } from './stage-metrics.ts'

it('shows what the stages count, by sync', async () => {
  const registry = createMetrics()
  const metrics = createStageMetrics(registry)
  metrics.takenOver('requests', 'people')
  metrics.published('people', 'added', 1000)
  metrics.published('people', 'changed', 0)
  metrics.rendered('people', 'added', 'request')
  metrics.rendered('people', 'added', 'unrenderable')
  metrics.attempted('people', 'delivered', 1)
  metrics.attempted('people', 'delivered', 1)
  metrics.attempted('orders', 'throttled', 1)
  metrics.leaseWaited('people', 30)
  metrics.ended('people', 'warning', 30_000)
  metrics.ended('people', 'failed', null)
  metrics.sends('people', 'crm')
  metrics.tokenAsked('crm', 'granted')
  metrics.inFlight('people', 1)
  metrics.inFlight('people', 1)
  metrics.inFlight('people', -1)
  metrics.inFlight('orders', 1)
  const lines = (await registry.text()).split('\n')
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
  const registry = createMetrics()
  const metrics = createStageMetrics(registry)
  metrics.known('people')
  metrics.takenOver('attempts', 'people')
  metrics.tokenAsked('crm', 'granted')
  const lines = (await registry.text()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_runs_total{sync="people",status="failed"} 0',
      'sluice_runs_total{sync="people",status="success"} 0',
      'sluice_attempts_total{sync="people",outcome="rejected"} 0',
      'sluice_token_requests_total{destination="crm",result="refused"} 0',
    ]),
  )
  metrics.ended('people', 'failed', 1)
  metrics.known('people')
  expect(await registry.text()).toContain('sluice_runs_total{sync="people",status="failed"} 1')
})

it('shows the syncs that were counted last, and of those before nothing any more', async () => {
  const registry = createMetrics()
  const metrics = createStageMetrics(registry, 2)
  for (const sync of ['a', 'b', 'c']) {
    metrics.ended(sync, 'success', 1)
    metrics.sends(sync, 'crm')
    metrics.leaseWaited(sync, 1)
    metrics.inFlight(sync, 1)
    metrics.suspended('changes', sync, 1)
  }
  const text = await registry.text()
  expect(['a', 'b', 'c'].map(sync => text.includes(`sync="${sync}"`))).toEqual([false, true, true])
})

it('sums what is left over the partitions of this process, and shows no sync that it does not work on', async () => {
  const registry = createMetrics()
  const metrics = createStageMetrics(registry)
  metrics.backlog('people', 0, { requests: 4, oldestMs: 2_000 })
  metrics.backlog('people', 1, { requests: 3, oldestMs: 5_000 })
  metrics.backlog('orders', 0, { requests: 1, oldestMs: 0 })
  metrics.backlog('orders', 0, null)
  const before = await registry.text()
  expect(before).toContain('sluice_backlog_requests{sync="people"} 7\n')
  expect(before).toContain('sluice_backlog_oldest_seconds{sync="people"} 5\n')
  expect(before).not.toContain('orders')
  metrics.backlog('people', 1, null)
  expect(await registry.text()).toContain('sluice_backlog_requests{sync="people"} 4\n')
})

it('shows how a stream stands while it is at work here, and what it has read and compared', async () => {
  const registry = createMetrics()
  const metrics = createStageMetrics(registry)
  metrics.streamRead('people', 'new', 7)
  metrics.streamRead('people', 'repeated', 0)
  metrics.streamCompares('people', 'truncated')
  metrics.stream('people', { lagRecords: 4, lagMs: 1_500, held: 2, inFlight: 3 })
  metrics.stream('orders', { lagRecords: null, lagMs: null, held: 0, inFlight: 0 })
  const lines = (await registry.text()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'sluice_stream_entries_total{sync="people",result="new"} 7',
      'sluice_stream_entries_total{sync="people",result="repeated"} 0',
      'sluice_stream_comparisons_total{sync="people",reason="truncated"} 1',
      'sluice_stream_lag_records{sync="people"} 4',
      'sluice_stream_lag_seconds{sync="people"} 1.5',
      'sluice_stream_held_keys{sync="people"} 2',
      'sluice_stream_in_flight_keys{sync="people"} 3',
      'sluice_stream_lag_seconds{sync="orders"} 0',
    ]),
  )
  metrics.stream('people', 'not here')
  const later = await registry.text()
  expect(later).not.toMatch(/sluice_stream_(?:lag|held|in_flight)\w*\{sync="people"/)
  expect(later).not.toContain('sluice_stream_lag_records{sync="orders"')
})
