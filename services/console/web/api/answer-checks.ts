/**
 * Checks the server's answers against the shapes of `libs/contracts`. The shapes take half as long to load as
 * all else of the first screen. So they are loaded once it is shown, and what came before is checked then.
 */
import type { z } from 'zod'
import type * as answers from './answers.ts'

type Shapes = typeof answers
/** How pages name the shape of an answer. */
export type AnswerName = keyof Shapes
export type Answer<Name extends AnswerName> = z.output<Shapes[Name]>

/** The first screen is shown by then. */
const LOADED_AFTER_MS = 1_500
/** Most answers that wait for their check. */
const MOST = 50

interface Unchecked {
  readonly name: AnswerName
  readonly value: unknown
}

let shapes: Shapes | null = null
let loading: Promise<Shapes> | null = null
const unchecked: Unchecked[] = []
let tell: (message: string) => void = () => undefined

/** Says who is told that an answer which is in use already has another shape. */
export function whenAnswersDiffer(listener: (message: string) => void): void {
  tell = listener
  setTimeout(() => void loadShapes().catch(() => undefined), LOADED_AFTER_MS)
}

/** Rejects if the server has no such file any more, or does not answer. The next call tries again. */
export async function loadShapes(): Promise<Shapes> {
  loading ??= import('./answers.ts')
  try {
    shapes = await loading
  } catch (error) {
    loading = null
    throw error
  }
  const differs = unchecked.splice(0).find(({ name, value }) => !isAnswer(name, value))
  if (differs !== undefined) tell(mismatch(differs.name, differs.value))
  return shapes
}

/** True if the answer has that shape. Before the shapes are loaded it is true, too, and checked later. */
export function isAnswer<Name extends AnswerName>(name: Name, value: unknown): value is Answer<Name> {
  if (shapes !== null) return shapes[name].safeParse(value).success
  if (unchecked.length < MOST) unchecked.push({ name, value })
  return true
}

/** What to say of an answer that `isAnswer` refuses. */
export function mismatch(name: AnswerName, value: unknown): string {
  const where = shapes?.[name].safeParse(value).error?.issues[0]?.path.map(String).join('.') ?? ''
  return `The server's answer has another shape than this page expects${where === '' ? '' : ` (at ${where})`}. Reload the page: the server may have been updated.`
}
