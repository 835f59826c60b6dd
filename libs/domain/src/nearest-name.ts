/**
 * Counts the insertions, deletions, replacements and swaps of neighbours between two words, if no part is
 * edited twice (Damerau–Levenshtein, in its "optimal string alignment" form). Words are compared as they are.
 * The time is the product of their lengths.
 */
export function editDistance(from: string, to: string): number {
  const a = [...from]
  const b = [...to]
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? (beforeLast[j - 2] ?? 0) + 1
          : Number.POSITIVE_INFINITY
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Longer words are not compared: they are no typing mistakes, and it would take long. */
const MAX_LENGTH = 100

/**
 * Returns the candidate that the writer of `name` most likely meant; null if none is near. A candidate is
 * near if at most a third of its letters differ (one may always differ), or if one begins with the other.
 * Upper and lower case, dashes and underscores do not count. The first of equally near candidates wins.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | null {
  const wanted = plain(name)
  if (wanted === '' || wanted.length > MAX_LENGTH) return null
  let nearest: string | null = null
  let nearestDistance = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = distanceBetween(wanted, plain(candidate))
    if (distance < nearestDistance) {
      nearest = candidate
      nearestDistance = distance
    }
  }
  return nearest
}

/** Returns the end of a message about an unknown name: `; did you mean "…"?`, or nothing if none is near. */
export function nearestHint(name: string, candidates: Iterable<string>): string {
  const nearest = nearestName(name, candidates)
  return nearest === null ? '' : `; did you mean "${nearest}"?`
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_\s]/g, '')
}

/** Returns the edit distance; infinity for words that are too far apart. */
function distanceBetween(wanted: string, candidate: string): number {
  if (candidate.length > MAX_LENGTH) return Number.POSITIVE_INFINITY
  const allowed = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3))
  const distance = editDistance(wanted, candidate)
  if (distance <= allowed) return distance
  const shorter = Math.min(wanted.length, candidate.length)
  const prefixed = shorter >= 3 && (wanted.startsWith(candidate) || candidate.startsWith(wanted))
  return prefixed ? allowed + distance : Number.POSITIVE_INFINITY
}
