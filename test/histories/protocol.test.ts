/**
 * Random histories on the model of the protocol: the deciding functions of detector and delivery, combined as
 * PROTOCOL.md says, against three APIs. `npm run histories -- --runs N` plays any number.
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { API_KINDS, FAULT_FREE, planHistory } from './plan.ts'
import { playHistory } from './play.ts'

const HISTORIES = 6_000
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

describe(`random histories (SLUICE_TEST_SEED=${SEED})`, () => {
  it('converge, send nothing that is not needed, and leave a state that follows from the topics', () => {
    let requests = 0
    const plans = Array.from({ length: HISTORIES }, (_, index) => planHistory(SEED + index))
    for (const plan of plans) requests += playHistory(plan).requests
    expect(requests).toBeGreaterThan(HISTORIES)
    for (const kind of API_KINDS)
      expect(plans.filter(({ api }) => api === kind).length, kind).toBeGreaterThan(HISTORIES / 6)
  }, 120_000)

  it('leave no object behind at an API that makes ids, if its answers arrive', () => {
    const told = Array.from({ length: 2_000 }, (_, index) => planHistory(SEED + index))
      .filter(({ api }) => api === 'makes-ids')
      .map(plan => ({ ...plan, runs: plan.runs.map(run => ({ ...run, ...CALM })) }))
    expect(told.length).toBeGreaterThan(200)
    for (const plan of told) expect(playHistory(plan).leftBehind, `seed ${plan.seed}`).toBe(0)
  })
})

/** No answer is lost, every removal is sent, and no resync sends rows again as added. */
const { edits: _, ...CALM } = FAULT_FREE
