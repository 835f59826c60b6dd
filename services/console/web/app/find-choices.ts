/** Finds the choices of the palette by a few letters. */

interface Findable {
  readonly name: string
  readonly what: string
  /** Words of its state, such as `failing`. */
  readonly state?: string
}

/** True if the name has the letters in this order. */
export function matches(name: string, letters: string): boolean {
  let from = 0
  const text = name.toLowerCase()
  for (const letter of letters.toLowerCase().replaceAll(' ', '')) {
    from = text.indexOf(letter, from) + 1
    if (from === 0) return false
  }
  return true
}

/**
 * The choices with these letters in their order, at most `limit`. Choices that have them in one piece come
 * first. Only a word of a state that has them in one piece counts, since every choice of a state has it.
 */
export function findChoices<T extends Findable>(all: readonly T[], letters: string, limit: number): T[] {
  const typed = letters.trim().toLowerCase()
  const inOnePiece: T[] = []
  const spread: T[] = []
  for (const choice of all) {
    const text = `${choice.what} ${choice.name}`
    const isWhole = `${text} ${choice.state ?? ''}`.toLowerCase().includes(typed)
    if (isWhole) inOnePiece.push(choice)
    else if (spread.length < limit && matches(text, letters)) spread.push(choice)
    if (inOnePiece.length >= limit) break
  }
  return [...inOnePiece, ...spread].slice(0, limit)
}
