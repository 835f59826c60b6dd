/**
 * Judges what becomes of twins: keys that the API of a history takes for one. If a run removes one and sends
 * another, in whatever partitions, no row is added or changed before every removal is finished (PROTOCOL.md
 * §6, §8).
 */
import type { Send } from './judge-requests.ts'
import type { Told } from './judge-changes.ts'
import { folded } from './plan.ts'

/** Returns the forms of twins that a removal may have taken away for good: nothing sends the row again. */
export function judgeTwins(told: Told & { readonly sends: readonly Send[] }): ReadonlySet<string> {
  const { topics, runs, sends, atMostOnce, onBroken } = told
  const unguarded = new Set<string>()
  for (const [run, changes] of Map.groupBy(topics.changes, change => change.run)) {
    const removed = new Set(changes.filter(({ op }) => op === 'removed').map(({ key }) => folded(key)))
    const triggers = runs.get(run)?.plan.triggers ?? []
    if (atMostOnce || (!triggers.includes('changed') && !triggers.includes('added')))
      for (const form of removed) unguarded.add(form)
    const isComing = ({ op }: { readonly op: string }): boolean => op === 'added' || op === 'changed'
    if (!changes.some(change => isComing(change) && removed.has(folded(change.key)))) continue
    const ops = sends.filter(send => send.run === run).flatMap(({ rows }) => rows)
    const first = ops.findIndex(isComing)
    const late = ops.find(({ op }, index) => op === 'removed' && first !== -1 && index > first)
    if (late !== undefined) onBroken(`run ${run}: ${late.key} was removed after other rows were sent`)
  }
  return unguarded
}
