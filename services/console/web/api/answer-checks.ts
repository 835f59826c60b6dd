/**
 * Checks the server's answers against the schemas of `libs/contracts`. Loading these takes half as long as
 * the whole first screen. So they are loaded once it is shown, and earlier answers are checked then.
 */
import type { AnswerOf } from '@sluice/contracts/api/operation-shapes'
import type { OperationName } from '@sluice/contracts/api/operations'
import type { z } from 'zod'
import { whenIdle } from '../ui/when-idle.ts'
import type * as answers from './answers.ts'

type Shapes = typeof answers
export type OpenApi = z.output<Shapes['openApi']>

/** By then the first screen is shown, and a phone has answered to the first taps. */
const LOADED_AFTER_MS = 5_000
/** A page that is busy for longer has to load them all the same. */
const LATEST_MS = 5_000
/** The most answers that wait for their check. */
const MAX_CHECKED = 50

interface Unchecked {
  readonly name: OperationName
  readonly value: unknown
}

let shapes: Shapes | null = null
let loading: Promise<Shapes> | null = null
const unchecked: Unchecked[] = []
let report: (message: string) => void = () => undefined

/** Sets the listener for the message that an answer, already in use, does not fit its schema. */
export function whenAnswersDiffer(listener: (message: string) => void): void {
  report = listener
  const load = (): void => void loadShapes().catch(() => undefined)
  setTimeout(() => whenIdle(load, LATEST_MS), LOADED_AFTER_MS)
}

/** Rejects if the server no longer has the file, or does not answer. The next call tries again. */
export async function loadShapes(): Promise<Shapes> {
  loading ??= inParts()
  try {
    shapes = await loading
  } catch (error) {
    loading = null
    throw error
  }
  const differs = unchecked.splice(0).find(({ name, value }) => !isAnswer(name, value))
  if (differs !== undefined) report(mismatch(differs.name, differs.value))
  return shapes
}

/** Each of these makes schemas that the next one uses. */
const PARTS = [
  () => import('./no-code-from-text.ts'),
  () => import('@sluice/contracts/resources'),
  () => import('@sluice/contracts/api'),
  () => import('@sluice/contracts/api/operating'),
]

/** Makes the schemas in tasks of a few milliseconds. One task for all would hold up what a phone shows. */
async function inParts(): Promise<Shapes> {
  for (const part of PARTS) {
    await part()
    await pause()
  }
  return await import('./answers.ts')
}

/**
 * True if the answer fits its schema. Before the schemas are loaded, it returns true and the answer is
 * checked later. `known` is the result of an earlier check.
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

/** The items of a list that are checked between two pauses. */
const CHUNK_ITEMS = 25

/** Does the same for hundreds of items. It pauses between chunks, so that typing is not held up. */
export async function isLongAnswer<Name extends OperationName>(name: Name, value: unknown): Promise<boolean> {
  const list = shapes === null ? null : listIn(shapes.ANSWERS[name].answer, value)
  if (shapes === null || list === null) return isAnswer(name, value)
  const { field, items, item, rest } = list
  if (!shapes.ANSWERS[name].answer.safeParse({ ...rest, [field]: [] }).success) return false
  for (let from = 0; from < items.length; from += CHUNK_ITEMS) {
    await pause()
    const chunk = items.slice(from, from + CHUNK_ITEMS)
    if (!chunk.every(each => item.safeParse(each).success)) return false
  }
  return true
}

/** Gives the page time for other events. */
const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve))

/** Finds the long list in a page of items. Null for any other answer. */
function listIn(shape: z.ZodType, value: unknown) {
  if (typeof value !== 'object' || value === null || !('shape' in shape)) return null
  const fields: unknown = shape.shape
  if (typeof fields !== 'object' || fields === null) return null
  for (const [field, items] of Object.entries(value)) {
    const list: unknown = Object.entries(fields).find(([name]) => name === field)?.[1]
    if (!Array.isArray(items) || items.length <= CHUNK_ITEMS || !isShape(list) || !('element' in list))
      continue
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
