/**
 * Judges what becomes of twins: keys that the API of a history takes for one. If a run removes one and sends
 * the other, both stand in one partition, and the removal is finished before the other goes out (PROTOCOL.md
 * §6, §8).
 */
import type { Send } from './judge-requests.ts'
import type { Told } from './judge-changes.ts'
import { folded } from './plan.ts'
import type { PlacedChange } from './told-topics.ts'

/**
 * Returns the forms of twins that a removal may have taken away for good: the state knew both in different
 * partitions, or the sync had no trigger that would send the row again.
 */
export function judgeTwins(told: Told & { readonly sends: readonly Send[] }): ReadonlySet<string> {
  const { topics, runs, sends, onBroken } = told
  const unguarded = new Set<string>()
  const pairs = new Map<string, { readonly removed: PlacedChange; readonly coming: PlacedChange }>()
  for (const removed of topics.changes) {
    const { run, op, key, partition, twin } = removed
    if (op !== 'removed') continue
    const triggers = runs.get(run)?.plan.triggers ?? []
    if (!triggers.includes('changed') && !triggers.includes('added')) unguarded.add(folded(key))
    for (const coming of topics.changes) {
      const isTwin = coming.run === run && coming.key !== key && folded(coming.key) === folded(key)
      if (!isTwin || (coming.op !== 'added' && coming.op !== 'changed')) continue
      if (coming.partition === partition) {
        pairs.set(`${run}/${folded(key)}`, { removed, coming })
        if (twin !== folded(key) || coming.twin !== twin) onBroken(`run ${run}: ${key} names no twin`)
      } else if (isKnown(told, coming)) unguarded.add(folded(key))
      else onBroken(`run ${run}: ${key} is removed in another partition than its twin is sent`)
    }
  }
  const gone = new Set<string>()
  for (const { run, rows } of sends) {
    for (const { key } of rows) {
      const pair = pairs.get(`${run}/${folded(key)}`)
      if (pair?.coming.key === key) gone.add(`${run}/${folded(key)}`)
      if (pair?.removed.key === key && gone.has(`${run}/${folded(key)}`))
        onBroken(`run ${run}: ${key} was removed after its twin was sent`)
    }
  }
  return unguarded
}

/** True if the state may have known the key before this change, and so its partition. */
function isKnown({ topics }: Told, { key, run }: PlacedChange): boolean {
  const before = topics.changes.filter(change => change.key === key && change.run < run)
  const last = before.toSorted((a, b) => a.run - b.run).at(-1)
  return topics.held.has(key) || (last !== undefined && last.op !== 'removed')
}
