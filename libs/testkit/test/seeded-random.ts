/** Random numbers that come again with the same seed. */

/** `SLUICE_TEST_SEED`, or a seed of this moment. A test shows it when it fails. */
export function seedOf(): number {
  return Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
}

/** Whole numbers from 0 up to, and without, a limit (mulberry32). */
export function randomOf(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return limit => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
