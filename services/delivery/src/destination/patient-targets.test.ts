import type { WaitNow } from '@sluice/contracts/records'
import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import type { Definitions } from '@sluice/resources/stored-documents'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { patientTargets } from './patient-targets.ts'

const definition = sampleDefinition({ destination: { headers: { Authorization: '${secret:TOKEN}' } } })

it('waits for a secret, counts the partitions that do, and uses it once it is there', async () => {
  const counts: number[] = []
  const told: string[] = []
  let token: string | null = null
  const targets = patientTargets({ get: () => Promise.resolve(definition) } as unknown as Definitions, {
    profile: { allowPrivateNetwork: true },
    secrets: name => {
      if (token === null) throw new SluiceError('config', `the secret ${name} is not set`)
      return token
    },
    logger: { error: (_: object, text: string) => told.push(text) } as never,
    stageMetrics: {
      ...NO_STAGE_METRICS,
      suspended: (stage, sync, now) => {
        expect([stage, sync]).toEqual(['attempts', SYNC])
        counts.push(now)
        if (now === 2) token = 's3cret'
      },
    },
  })
  const { signal } = new AbortController()
  const waits: (WaitNow | null)[] = []
  const options = { signal, waitsFor: (what: WaitNow | null) => void waits.push(what) }
  const both = await Promise.all([targets('h', options), targets('h', options)])
  expect(both.map(({ headers }) => headers['authorization'])).toEqual(['s3cret', 's3cret'])
  expect(counts).toEqual([1, 2, 1, 0])
  expect(told[0]).toContain('the secret TOKEN is not set')
  expect(waits[0]).toMatchObject({ kind: 'secret', detail: 'the secret TOKEN is not set' })
  expect(waits.at(-1)).toBeNull()
})

it('stops waiting when the run ends, and is counted no more', async () => {
  const ends = new AbortController()
  const counts: number[] = []
  const missing = new SluiceError('config', 'not set')
  const targets = patientTargets({ get: () => Promise.resolve(definition) } as unknown as Definitions, {
    profile: { allowPrivateNetwork: true },
    secrets: () => {
      throw missing
    },
    logger: { error: () => ends.abort(new Error('the run ends')) } as never,
    stageMetrics: { ...NO_STAGE_METRICS, suspended: (_stage, _sync, now) => void counts.push(now) },
  })
  await expect(targets('h', { signal: ends.signal, waitsFor: () => undefined })).rejects.toThrow(
    'the run ends',
  )
  expect(counts).toEqual([1, 0])
})

it('gives up once it has waited long enough, and names the secret', async () => {
  const missing = new SluiceError('config', 'the secret TOKEN is not set')
  const targets = patientTargets({ get: () => Promise.resolve(definition) } as unknown as Definitions, {
    profile: { allowPrivateNetwork: true },
    secrets: () => {
      throw missing
    },
    logger: { error: () => undefined } as never,
    patienceMs: 20,
  })
  const { signal } = new AbortController()
  await expect(targets('h', { signal, waitsFor: () => undefined })).rejects.toBe(missing)
})
