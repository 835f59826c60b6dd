import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { FakeClock } from '@sluice/testkit/fake-clock'
import { randomFrom } from '@sluice/testkit/random'
import { rateLimitContract } from '../../test/contract.ts'
import { OWNERS_KEPT } from './limits-file.ts'
import { createLocalRateLimit } from './local.ts'
import { MAX_PAUSE_MS, type RateLimit, type TakeRequest } from '../port.ts'

rateLimitContract('local', { shared: false }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-limits-'))
  const clock = new FakeClock()
  const opened: RateLimit[] = []
  return {
    async open() {
      const limit = createLocalRateLimit({ file: join(folder, 'limits.sqlite'), now: clock.now })
      opened.push(limit)
      return limit
    },
    now: clock.now,
    async pass(ms) {
      clock.advance(ms)
    },
    // Leases age while the machine is suspended, and the clock of the limit does not.
    deadline: grant => performance.timeOrigin + performance.now() + grant.useBeforeMs - elapsedMs(),
    async close() {
      for (const limit of opened) await limit[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
})

describe('the local rate limit', () => {
  let folder: string
  let file: string
  const clock = new FakeClock()
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-limits-'))
    file = join(folder, 'limits.sqlite')
  })
  afterEach(() => rm(folder, { recursive: true }))

  const request = (want: number, requests: number, windowMs: number): TakeRequest => ({
    scopes: [{ name: 'destination/api', rates: [{ requests, windowMs }], concurrency: 2_000_000 }],
    owner: { partition: 'sync/0', marker: 1 },
    want,
    slotLifeMs: 5000,
    signal: new AbortController().signal,
  })
  const permitsOf = async (limit: RateLimit, want: number, requests: number, windowMs: number) => {
    const grant = await limit.take(request(want, requests, windowMs))
    return grant.kind === 'granted' ? grant.permits : 0
  }

  it('pauses for no longer than the longest pause, though the clock was set back since it was stored', async () => {
    const later = new FakeClock()
    later.advance(86_400_000)
    const paused = createLocalRateLimit({ file, now: later.now })
    await paused.pause('destination/api', 1000)
    await paused[Symbol.asyncDispose]()
    await using limit = createLocalRateLimit({ file, now: clock.now })
    expect(await limit.take(request(1, 10, 1000))).toMatchObject({
      kind: 'wait',
      reason: 'paused',
      waitMs: MAX_PAUSE_MS,
    })
    clock.advance(MAX_PAUSE_MS)
    expect(await permitsOf(limit, 1, 10, 1000)).toBe(1)
  })

  it('remembers the markers of those partitions that changed hands last, and no others', async () => {
    const asked = async (limit: RateLimit, partition: string, marker: number) =>
      limit.take({ ...request(1, 1_000_000, 1000), owner: { partition, marker } })
    const first = createLocalRateLimit({ file, now: clock.now })
    for (let n = 0; n < OWNERS_KEPT + 10; n += 1) {
      await asked(first, `sync/${n}`, 5)
      // A partition that goes on changing hands is not among the oldest.
      if (n % 1000 === 0) await asked(first, 'sync/0', n + 6)
    }
    await first[Symbol.asyncDispose]()
    await using limit = createLocalRateLimit({ file, now: clock.now })
    for (const known of ['sync/0', 'sync/100', `sync/${OWNERS_KEPT}`])
      expect(await asked(limit, known, 4), known).toMatchObject({ reason: 'superseded' })
    expect(await asked(limit, 'sync/1', 4)).toMatchObject({ kind: 'granted' })
  })

  it('remembers across kill -9 what it had granted, exactly for small limits', async () => {
    expect(await grantAndDie(file, { want: 7, requests: 10, windowMs: 3_600_000 })).toBe('7')
    await using limit = createLocalRateLimit({ file })
    expect(await permitsOf(limit, 10, 10, 3_600_000)).toBe(3)
  })

  it('forgets slots across kill -9, since the connections of a dead process are closed', async () => {
    await grantAndDie(file, { want: 7, requests: 1_000_000, windowMs: 1000 })
    await using limit = createLocalRateLimit({ file })
    const { scopes, ...rest } = request(10, 1_000_000, 1000)
    const narrow = scopes.map(scope => ({ ...scope, concurrency: 7 }))
    expect(await limit.take({ ...rest, scopes: narrow })).toMatchObject({ kind: 'granted', permits: 7 })
  })

  it('a large limit after kill -9 is at most a sixty-fourth short, and never more than full', async () => {
    await grantAndDie(file, { want: 600_000, requests: 1_000_000, windowMs: 3_600_000 })
    await using limit = createLocalRateLimit({ file })
    const left = await permitsOf(limit, 1_000_000, 1_000_000, 3_600_000)
    expect(left).toBeLessThanOrEqual(400_000)
    expect(left).toBeGreaterThanOrEqual(400_000 - 1_000_000 / 64)
  })

  it('a file never says less than was granted, wherever the process is killed, and little more', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = randomFrom(seed).next
    const most = 6400
    await using limit = createLocalRateLimit({ file, now: clock.now })
    const grants: { readonly atMs: number; readonly permits: number }[] = []
    const usedSince = (ms: number): number =>
      grants.reduce((sum, { atMs, permits }) => sum + (atMs > clock.now() - ms ? permits : 0), 0)
    for (let n = 1; n <= 400; n += 1) {
      const grant = await limit.take(request(1 + Math.floor(random() * 40), most, 1000))
      if (grant.kind !== 'granted') throw new Error(`there is room with seed ${seed}`)
      const unused = random() < 0.3 ? Math.floor(random() * grant.permits) : 0
      if (unused > 0) await limit.giveBack(grant.lease, { unused, finished: 0 })
      grants.push({ atMs: clock.now(), permits: grant.permits - unused })
      if (n % 20 === 0) {
        const killed = join(folder, `killed-${n}.sqlite`)
        await copyFile(file, killed)
        await copyFile(`${file}-wal`, `${killed}-wal`)
        await using successor = createLocalRateLimit({ file: killed, now: clock.now })
        const left = await permitsOf(successor, most, most, 1000)
        expect(left, `after ${n} grants with seed ${seed}`).toBeLessThanOrEqual(most - usedSince(1000))
        // Returns since the last write are not in the file yet, and rows end a little later than
        // grants.
        const little = most / 64 + 40 * 20
        expect(left, `after ${n} grants with seed ${seed}`).toBeGreaterThan(most - usedSince(1200) - little)
      }
      clock.advance(random() * 12)
    }
  })

  it('a large limit is exact after an orderly end', async () => {
    const first = createLocalRateLimit({ file, now: clock.now })
    await permitsOf(first, 600_000, 1_000_000, 3_600_000)
    await first[Symbol.asyncDispose]()
    await using second = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(second, 1_000_000, 1_000_000, 3_600_000)).toBe(400_000)
  })

  it('a large limit is given in full again once its window has passed', async () => {
    await using limit = createLocalRateLimit({ file, now: clock.now })
    let total = 0
    for (let n = 0; n < 1000; n += 1) {
      total += await permitsOf(limit, 3000, 1_000_000, 1000)
      clock.advance(1)
    }
    expect(total).toBe(1_000_000)
    clock.advance(29)
    expect(await permitsOf(limit, 3000, 1_000_000, 1000)).toBe(3000)
  })

  it('a clock that is set back never frees anything early', async () => {
    const first = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(first, 10, 10, 1000)).toBe(10)
    clock.jump(-3_600_000)
    clock.advance(1024)
    expect(await permitsOf(first, 10, 10, 1000)).toBe(0)
    await first[Symbol.asyncDispose]()
    await using second = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(second, 10, 10, 1000)).toBe(0)
    clock.advance(1025)
    expect(await permitsOf(second, 10, 10, 1000)).toBe(10)
  })

  it('a longer limit that came later remembers, in the next process, what was granted before it', async () => {
    const first = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(first, 6, 10, 60_000)).toBe(6)
    expect(await permitsOf(first, 1, 10, 3_600_000)).toBe(1)
    await first[Symbol.asyncDispose]()
    await using second = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(second, 100, 10, 3_600_000)).toBe(3)
  })

  it('taking and giving back all day fills neither memory nor file', async () => {
    await using limit = createLocalRateLimit({ file, now: clock.now })
    for (let n = 0; n < 2000; n += 1) {
      const grant = await limit.take(request(10, 10, 3_600_000))
      if (grant.kind !== 'granted') throw new Error('there is room')
      await limit.giveBack(grant.lease, { unused: 10, finished: 0 })
      clock.advance(1)
    }
    await limit[Symbol.asyncDispose]()
    await using again = createLocalRateLimit({ file, now: clock.now })
    expect(await permitsOf(again, 10, 10, 3_600_000)).toBe(10)
  })

  it('giving back more than a lease has is a fault that names it', async () => {
    await using limit = createLocalRateLimit({ now: clock.now })
    const grant = await limit.take(request(3, 10, 1000))
    if (grant.kind !== 'granted') throw new Error('there is room')
    const { lease } = grant
    await expect(limit.giveBack(lease, { unused: 2, finished: 2 })).rejects.toThrow(lease)
    await expect(limit.giveBack(lease, { unused: -1, finished: 0 })).rejects.toMatchObject({
      code: 'internal',
    })
  })

  it('a second holder of the file is refused, and the first goes on', async () => {
    await using first = createLocalRateLimit({ file })
    expect(() => createLocalRateLimit({ file })).toThrow(expect.objectContaining({ code: 'conflict' }))
    expect(await permitsOf(first, 1, 10, 1000)).toBe(1)
  })

  it('whoever takes nothing leaves the file as it is, and has it alone all the same', async () => {
    await createLocalRateLimit({ file })[Symbol.asyncDispose]()
    const before = await stat(file, { bigint: true })
    {
      await using first = createLocalRateLimit({ file })
      expect(() => createLocalRateLimit({ file })).toThrow(expect.objectContaining({ code: 'conflict' }))
      expect(first).toBeDefined()
    }
    expect((await stat(file, { bigint: true })).mtimeNs).toBe(before.mtimeNs)
  })

  it('a file that is no file of limits is refused with advice', async () => {
    await writeFile(file, 'this is no database, and long enough to show it'.repeat(100))
    expect(() => createLocalRateLimit({ file })).toThrow(
      expect.objectContaining({ code: 'corrupt', message: expect.stringContaining('remove the file') }),
    )
    const nowhere = join(folder, 'no', 'such', 'folder', 'limits.sqlite')
    expect(() => createLocalRateLimit({ file: nowhere })).toThrow(
      expect.objectContaining({ code: 'unreachable' }),
    )
  })
})

/** Takes in a process of its own, which is killed once it has the grant. Gives the grant, as text. */
async function grantAndDie(
  file: string,
  { want, requests, windowMs }: { want: number; requests: number; windowMs: number },
): Promise<string> {
  const code = `
    import { createLocalRateLimit } from ${JSON.stringify(new URL('./local.ts', import.meta.url).href)}
    const limit = createLocalRateLimit({ file: ${JSON.stringify(file)} })
    const grant = await limit.take({
      scopes: [{ name: 'destination/api', rates: [${JSON.stringify({ requests, windowMs })}], concurrency: 2e6 }],
      owner: { partition: 'sync/0', marker: 1 },
      want: ${want},
      slotLifeMs: 60000,
      signal: new AbortController().signal,
    })
    process.stdout.write(String(grant.permits))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [printed] = await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  return String(printed)
}
