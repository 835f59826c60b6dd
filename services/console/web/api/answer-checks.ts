/**
 * Checks the server's answers against the shapes of `libs/contracts`. The shapes take half as long to load as
 * all else of the first screen. So they are loaded once it is shown, and what came before is checked then.
 */
import type { AnswerOf } from '@sluice/contracts/api/operation-shapes'
import type { OperationName } from '@sluice/contracts/api/operations'
import type { z } from 'zod'
import type * as answers from './answers.ts'

type Shapes = typeof answers
export type OpenApi = z.output<Shapes['openApi']>

/** The first screen is shown by then. */
const LOADED_AFTER_MS = 1_500
/** Most answers that wait for their check. */
const MAX_CHECKED = 50

interface Unchecked {
  readonly name: OperationName
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

/**
 * True if the answer has that shape. Before the shapes are loaded it is true, too, and checked later. `known`
 * is what a check before has found.
 */
export function isAnswer<Name extends OperationName>(
  name: Name,
  value: unknown,
  known?: boolean,
): value is AnswerOf<Name> {
  if (known !== undefined) return known
  if (shapes !== null) return shapes.ANSWERS[name].answer.safeParse(value).success
  if (unchecked.length < MAX_CHECKED) unchecked.push({ name, value })
  return true
}

/** A page checks this many items of a list before it looks what else it has to do. */
const PIECE = 25

/** The same, of hundreds of items a piece at a time: it holds up nobody who types. */
export async function isLongAnswer<Name extends OperationName>(name: Name, value: unknown): Promise<boolean> {
  const list = shapes === null ? null : listIn(shapes.ANSWERS[name].answer, value)
  if (shapes === null || list === null) return isAnswer(name, value)
  const { field, items, item, rest } = list
  if (!shapes.ANSWERS[name].answer.safeParse({ ...rest, [field]: [] }).success) return false
  for (let from = 0; from < items.length; from += PIECE) {
    await pause()
    const piece = items.slice(from, from + PIECE)
    if (!piece.every(each => item.safeParse(each).success)) return false
  }
  return true
}

/** Lets the page do what has come up meanwhile. */
const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve))

/** The long list that a page of items has; null for any other answer. */
function listIn(shape: z.ZodType, value: unknown) {
  if (typeof value !== 'object' || value === null || !('shape' in shape)) return null
  const fields: unknown = shape.shape
  if (typeof fields !== 'object' || fields === null) return null
  for (const [field, items] of Object.entries(value)) {
    const list: unknown = Object.entries(fields).find(([name]) => name === field)?.[1]
    if (!Array.isArray(items) || items.length <= PIECE || !isShape(list) || !('element' in list)) continue
    const item: unknown = list.element
    if (isShape(item)) return { field, items: items.map((each: unknown) => each), item, rest: value }
  }
  return null
}

function isShape(value: unknown): value is z.ZodType {
  return typeof value === 'object' && value !== null && 'safeParse' in value
}

/** The sentence about an answer that `isAnswer` refuses. */
export function mismatch(name: OperationName, value: unknown): string {
  const where =
    shapes?.ANSWERS[name].answer.safeParse(value).error?.issues[0]?.path.map(String).join('.') ?? ''
  return `The server's answer has another shape than this page expects${where === '' ? '' : ` (at ${where})`}. Reload the page: the server may have been updated.`
}
