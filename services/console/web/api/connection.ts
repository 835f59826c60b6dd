/**
 * The page's connection to the server, as its answers show it. Each answer says that the server is there. The
 * frame of all pages checks the session every few seconds. A check without an answer says that the server is
 * gone.
 */
import { useSyncExternalStore } from 'react'

/** The time between two checks, and the time within which one is answered. A loss shows within the sum. */
export const CHECK_MS = 2_000
export const CHECK_LIMIT_MS = 2_500

let heardAt = Date.now()
let lostSince: number | null = null
const listeners = new Set<() => void>()

/** The server has answered. */
export function heard(): void {
  heardAt = Date.now()
  change(null)
}

/** A check was not answered. */
export function missed(): void {
  if (lostSince === null) change(heardAt)
}

function change(next: number | null): void {
  if (next === lostSince) return
  lostSince = next
  for (const listener of listeners) listener()
}

function listen(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/**
 * The time of the last answer, in milliseconds since 1970, once the server answers no longer. Null while it
 * answers.
 */
export function useLostSince(): number | null {
  return useSyncExternalStore(listen, () => lostSince)
}
