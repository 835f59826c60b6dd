/** Random numbers that follow from a seed, so that a failure can be played again. */
export interface Random {
  /** From 0, inclusive, to 1, exclusive. */
  next(): number
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** One of several. Throws if there is none. */
  pick<T>(of: readonly T[]): T
}

/** mulberry32: a small generator whose whole state is the seed. */
export function randomFrom(seed: number): Random {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (bound: number): number => Math.floor(next() * bound)
  return {
    next,
    below,
    chance: probability => next() < probability,
    pick(of) {
      const picked = of[below(of.length)]
      if (picked === undefined) throw new Error('there is nothing to pick from')
      return picked
    },
  }
}

/** The same things in another order. */
export function shuffled<T>(of: readonly T[], random: Random): readonly T[] {
  const all = [...of]
  for (let left = all.length; left > 1; left -= 1) {
    const [last] = all.splice(random.below(left), 1)
    if (last !== undefined) all.push(last)
  }
  return all
}
