import { describe, expect, it } from 'vitest'
import { sampleRequest, sampleRow } from '@sluice/testkit/sample-records'
import { faultOf, inSequence, type RequestSequence } from './request-sequence.ts'

const opened = (): RequestSequence => ({ begin: { run: 3 }, nextSeq: 0, nextChange: 0, fault: null })
const request = (seq: number, change: number, run = 3) =>
  sampleRequest({ run, seq, rows: [sampleRow({ key: `${change}`, seq: change })] })
const end = (count: number) => ({ count, faultedFrom: null, error: null })

describe('the requests of a run', () => {
  it('follow each other, and their end counts them', () => {
    const open = opened()
    expect([inSequence(open, 7, request(0, 0)), inSequence(open, 8, request(1, 5))]).toEqual([true, true])
    expect(open).toMatchObject({ nextSeq: 2, nextChange: 6, fault: null })
    expect(faultOf(end(2), open)).toBeNull()
  })

  it('may begin anywhere after a takeover', () => {
    const open = { ...opened(), nextSeq: null }
    expect(inSequence(open, 9, request(4, 9))).toBe(true)
    expect(open).toMatchObject({ nextSeq: 5, nextChange: 10 })
  })

  it.each([
    ['one is missing', request(2, 2)],
    ['one is of another run', request(1, 2, 4)],
    ['one comes again', request(0, 0)],
  ])('fault the run from the first change that is in none, and stay out, where %s', (_, wrong) => {
    const open = opened()
    inSequence(open, 7, request(0, 1))
    expect(inSequence(open, 8, wrong)).toBe(false)
    expect(open.fault).toEqual({ from: 2, error: expect.stringContaining('requests lack seq 1') })
    expect(inSequence(open, 9, request(1, 2))).toBe(false)
  })

  it('fault the run where rows come again, of which one request is under way already', () => {
    const open = opened()
    inSequence(open, 7, request(0, 3))
    expect(inSequence(open, 8, request(1, 3))).toBe(false)
    expect(open.fault).toEqual({ from: 4, error: expect.stringContaining('repeats rows') })
  })

  it('fault the run where its end counts more', () => {
    const open = opened()
    inSequence(open, 7, request(0, 1))
    expect(faultOf(end(2), open)).toEqual({
      from: 2,
      error: 'requests end after seq 0, and 2 were written',
    })
  })

  it('are as faulted as the renderer says', () => {
    const found = faultOf({ count: 1, faultedFrom: 4, error: 'changes lack seq 4' }, opened())
    expect(found).toEqual({ from: 4, error: 'changes lack seq 4' })
  })
})
