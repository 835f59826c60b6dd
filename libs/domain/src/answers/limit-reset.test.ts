import { describe, expect, it } from 'vitest'
import { limitResetMs } from './limit-reset.ts'

const NOW = Date.UTC(2026, 0, 1)
const NOW_S = NOW / 1000
const HOUR_MS = 3_600_000

describe('the wait that headers of a limit tell', () => {
  it.each<readonly [{ readonly [name: string]: string }, number]>([
    [{ 'retry-after-ms': '250' }, 250],
    [{ 'retry-after-ms': ' 250.2 ' }, 251],
    [{ ratelimit: '"default";r=0;t=7' }, 7_000],
    [{ ratelimit: '"burst";r=0;t=5, "day";r=900;t=600' }, 5_000],
    [{ ratelimit: '"burst"; r=0; t=5,"day";r=0;t=600;pk=:c2x1aWNl:' }, 600_000],
    [{ ratelimit: 'limit=100, remaining=0, reset=30' }, 30_000],
    [{ 'ratelimit-reset': '30' }, 30_000],
    [{ 'ratelimit-reset': '30', 'ratelimit-remaining': '0' }, 30_000],
    [{ 'x-ratelimit-reset': '0' }, 0],
    [{ 'x-ratelimit-reset': '1.5' }, 1_500],
    [{ 'x-ratelimit-reset': `${NOW_S + 20}` }, 20_000],
    [{ 'x-ratelimit-reset': `${NOW + 20_000}` }, 20_000],
    [{ 'x-rate-limit-reset': `${NOW_S + 20}` }, 20_000],
    [{ 'x-ratelimit-reset': `${NOW_S - 20}` }, 0],
  ])('of %j is %d ms', (headers, ms) => {
    expect(limitResetMs(headers, NOW)).toBe(ms)
  })

  it('is an hour at most, whatever they say', () => {
    for (const value of ['86400', `${NOW_S + 86_400}`, '999999999999999'])
      expect(limitResetMs({ 'x-ratelimit-reset': value }, NOW)).toBe(HOUR_MS)
    expect(limitResetMs({ ratelimit: '"day";r=0;t=86400' }, NOW)).toBe(HOUR_MS)
  })

  it.each<{ readonly [name: string]: string }>([
    {},
    { 'x-ratelimit-reset': '' },
    { 'x-ratelimit-reset': 'soon' },
    { 'x-ratelimit-reset': '-5' },
    { 'x-ratelimit-reset': '1e3' },
    { 'x-ratelimit-reset': '0x10' },
    { 'x-ratelimit-reset': '5, 7' },
    { 'x-ratelimit-reset': '6m0s' },
    { 'x-ratelimit-reset': '9'.repeat(16) },
    { 'retry-after-ms': 'Infinity' },
    { ratelimit: '' },
    { ratelimit: '"default";r=5;t=7' },
    { ratelimit: '"default";r=0' },
    { ratelimit: '"default";t=7' },
    { ratelimit: '"default";r=0;t=7 or so' },
    { ratelimit: 'limit=100, remaining=3, reset=30' },
    { ratelimit: `${'"a";r=0;t=1,'.repeat(100)}"b";r=0;t=1` },
    { 'x-ratelimit-reset': '30', 'x-ratelimit-remaining': '12' },
  ])('of %j is not told', headers => {
    expect(limitResetMs(headers, NOW)).toBeNull()
  })

  it('goes by the first header that tells it', () => {
    const all = {
      'x-rate-limit-reset': '5',
      'x-ratelimit-reset': '4',
      'ratelimit-reset': '3',
      ratelimit: '"default";r=0;t=2',
      'retry-after-ms': '1000',
    }
    const found: (number | null)[] = []
    const left: { [name: string]: string } = { ...all }
    for (const name of Object.keys(all).toReversed()) {
      found.push(limitResetMs(left, NOW))
      left[name] = 'nonsense'
    }
    expect(found).toEqual([1_000, 2_000, 3_000, 4_000, 5_000])
  })

  it('is compared with the clock of the server where the answer tells it', () => {
    const date = 'Wed, 31 Dec 2025 12:00:00 GMT'
    const reset = `${Date.UTC(2025, 11, 31, 12, 0, 10) / 1000}`
    expect(limitResetMs({ 'x-ratelimit-reset': reset, date }, NOW)).toBe(10_000)
  })
})
