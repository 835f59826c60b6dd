import { describe, expect, it } from 'vitest'
import { verdictOfFailure } from '@sluice/domain/answers/outcome'
import { sampleRow } from '@sluice/testkit/sample-records'
import { WHOLE } from '../ledger/request-history.ts'
import { settleRows } from './settle-rows.ts'

const rows = [sampleRow({ key: 'a', seq: 7 }), sampleRow({ key: 'b', seq: 8 })]
const judgement = { outcome: 'throttled', error: null, captured: null } as const
const REFUSED = { ...verdictOfFailure('timeout'), outcome: 'rejected', answered: true } as const

describe('the rows of a request that a replay sends again', () => {
  const replay = { pauseMs: () => 0, splits: true, isReplay: true }
  const sent = { trigger: 'added', rows, history: WHOLE, verdict: REFUSED, status: 400 } as const

  it('go on in no part: the next run sends what they need', () => {
    expect(settleRows({ ...sent, judged: new Map() }, replay)).toMatchObject({ parts: null, waitMs: null })
    const judged = new Map([[0, judgement]])
    expect(settleRows({ ...sent, judged }, replay)).toMatchObject({ outcome: 'rejected', parts: null })
    expect(settleRows({ ...sent, judged }, replay).rows).toMatchObject([{ seq: 7, outcome: 'unsent' }])
  })

  it('go on in two halves for any other request', () => {
    const { parts } = settleRows({ ...sent, judged: new Map() }, { ...replay, isReplay: false })
    expect(parts?.map(part => part.rows)).toEqual([[0], [1]])
  })
})
