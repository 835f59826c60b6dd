/** Until when requests of a process that was killed may arrive, by the file that it left (PROTOCOL.md §8). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LateSends } from '@sluice/delivery/run/maybe-sent'
import { resolveTarget, type Target } from '@sluice/delivery/destination/target'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { openSentRequests, type SentRequestsOptions } from './sent-requests.ts'

const TIMEOUT_MS = 10_000
const MARGIN_MS = 2_000
/** A request may be late for this time once it was given up. */
const WHOLE_MS = TIMEOUT_MS + MARGIN_MS

let folder: string
let file: string
let target: Target
/** The steady clock of the machine. */
let nowMs = 0

beforeEach(() => {
  vi.useFakeTimers()
  folder = mkdtempSync(join(tmpdir(), 'sluice-under-way-'))
  file = join(folder, 'under-way')
  nowMs = 1_000_000
  target = resolveTarget(sampleDefinition({ sync: { timeout: `${TIMEOUT_MS}ms` } }), () => '')
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true })
})

function open(options: Partial<SentRequestsOptions> = {}): LateSends & Disposable {
  return openSentRequests({ file, isNew: true, machine: 'one', now: () => nowMs, ...options })
}

/** A process that is killed leaves the file as it is, and nothing of it goes on. */
function killed(): void {
  vi.clearAllTimers()
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    nowMs += 10
    await vi.advanceTimersByTimeAsync(10)
  }
}

/** Returns the time for which requests may still be late, as a process finds that starts now. */
function leftMs(partition = 'a', options: Partial<SentRequestsOptions> = {}): number {
  using next = open({ isNew: false, ...options })
  const until = next.ofPredecessor(partition)(target)
  vi.clearAllTimers()
  return Math.max(0, Math.round(until - performance.now()))
}

describe('after a process that was killed, a successor waits', () => {
  it('for a request that was under way: its time-out and a margin, since the process was last at work', async () => {
    open().begin('a', TIMEOUT_MS)
    await pass(60_000)
    killed()
    expect(leftMs()).toBe(WHOLE_MS)
    nowMs += 5_000
    expect(leftMs()).toBe(WHOLE_MS - 5_000)
    nowMs += 60_000
    expect(leftMs()).toBe(0)
  })

  it('not for requests of other partitions', () => {
    open().begin('a', TIMEOUT_MS)
    killed()
    expect(leftMs('b')).toBe(0)
  })

  it('not at all, if no request was under way', async () => {
    open().begin('a', TIMEOUT_MS).finished()
    await pass(20)
    killed()
    expect(leftMs()).toBe(0)
  })

  it('for one of several that had no answer yet', async () => {
    const first = open()
    const [one] = [first.begin('a', TIMEOUT_MS), first.begin('a', TIMEOUT_MS)]
    one.finished()
    await pass(700)
    killed()
    expect(leftMs()).toBeGreaterThan(WHOLE_MS - MARGIN_MS)
  })

  it('for a request that began a moment after another had its answer', async () => {
    const first = open()
    first.begin('a', TIMEOUT_MS).finished()
    await pass(10)
    first.begin('a', TIMEOUT_MS)
    killed()
    expect(leftMs()).toBeGreaterThan(WHOLE_MS - MARGIN_MS)
  })

  it('for one that began after another partition was noted in between', () => {
    const first = open()
    first.begin('a', TIMEOUT_MS).finished()
    first.begin('b', TIMEOUT_MS)
    first.begin('a', TIMEOUT_MS)
    killed()
    expect(leftMs('a')).toBe(WHOLE_MS)
  })

  it('for the longest time-out of those under way', () => {
    const first = open()
    first.begin('a', TIMEOUT_MS)
    first.begin('a', 3 * TIMEOUT_MS)
    killed()
    expect(leftMs()).toBe(3 * TIMEOUT_MS + MARGIN_MS)
  })

  it('whole, if the process stood still until just before it sent', async () => {
    const first = open()
    const stuck = first.begin('a', TIMEOUT_MS)
    nowMs += 45_000
    first.begin('a', TIMEOUT_MS)
    killed()
    stuck.finished()
    vi.clearAllTimers()
    expect(leftMs()).toBe(WHOLE_MS)
  })

  it('though the successor was killed in the midst of the wait, and sent nothing', async () => {
    open().begin('a', TIMEOUT_MS)
    killed()
    nowMs += 3_000
    const second = open({ isNew: false })
    second.begin('b', TIMEOUT_MS).finished()
    await pass(1_000)
    killed()
    expect(leftMs()).toBe(WHOLE_MS - 4_000)
  })

  it('for requests that it gave up itself, when it takes over from itself', async () => {
    using first = open()
    first.begin('a', TIMEOUT_MS).abandoned()
    await pass(1_000)
    const left = first.ofPredecessor('a')(target) - performance.now()
    expect(Math.round(left)).toBe(WHOLE_MS - 1_000)
  })

  it('for requests that were given up at the deadline of its end', () => {
    const first = open()
    first.begin('a', TIMEOUT_MS).abandoned()
    first[Symbol.dispose]()
    expect(leftMs()).toBe(WHOLE_MS)
  })
})

describe('where the file does not tell, a successor waits the whole time from its own start, once', () => {
  beforeEach(async () => {
    open().begin('a', TIMEOUT_MS)
    await pass(600)
    killed()
    nowMs += 50_000
  })

  it.each([
    ['is gone', () => rmSync(file)],
    ['is empty', () => writeFileSync(file, '')],
    ['was written in part', () => writeFileSync(file, readFileSync(file, 'utf8').replace(/.{3}$/, ''))],
    ['has another time in it', () => writeFileSync(file, readFileSync(file, 'utf8').replace('1012', '1002'))],
  ])('it %s', async (_, spoil) => {
    spoil()
    expect(leftMs('any')).toBe(WHOLE_MS)
    nowMs += 5_000
    expect(leftMs('any')).toBe(WHOLE_MS - 5_000)
    nowMs += 60_000
    expect(leftMs('any')).toBe(0)
  })

  it('the machine has started anew, or is another one', () => {
    expect(leftMs('a', { machine: 'two' })).toBe(WHOLE_MS)
  })

  it('the clock of the machine has begun anew', () => {
    nowMs = 10_000
    expect(leftMs('any')).toBe(WHOLE_MS)
  })
})

it('a folder in which nothing ever ran has nothing to wait for', () => {
  using first = open()
  expect(first.ofPredecessor('a')(target)).toBeLessThan(performance.now())
  killed()
  expect(leftMs()).toBe(0)
})

it('a request that cannot be noted does not go out', async () => {
  const first = open()
  first.begin('a', TIMEOUT_MS).finished()
  await pass(20)
  first[Symbol.dispose]()
  expect(() => first.begin('a', TIMEOUT_MS)).toThrow('the file is closed')
})

it('a request that could not be noted does not count as noted for the next one', () => {
  let isFull = false
  const write = (fd: number, text: string): void => {
    if (isFull) throw new Error('no space left on device')
    writeSync(fd, text, 0)
  }
  const first = open({ write })
  first.begin('a', TIMEOUT_MS)
  isFull = true
  expect(() => first.begin('a', 3 * TIMEOUT_MS)).toThrow('no space left')
  isFull = false
  first.begin('a', 3 * TIMEOUT_MS)
  killed()
  expect(leftMs()).toBe(3 * TIMEOUT_MS + MARGIN_MS)
})
