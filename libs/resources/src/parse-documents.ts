/**
 * Reads stored documents. Sluice validates a document before it stores it, but other programs may write to
 * the topic, too. So each document is validated again. Its depth and size are checked before it is parsed,
 * since some megabytes of brackets take gigabytes of memory.
 */
import { SluiceError } from '@sluice/contracts/errors'
import {
  isStoredResource,
  type Definition,
  type ResourceKind,
  type ResourceSpec,
} from '@sluice/contracts/resources'
import { DEFINITION_CEILING_BYTES, RESOURCE_CEILING_BYTES } from '@sluice/domain/record-sizes'

/** Far more than the schemas of resources allow. */
const MAX_DEPTH = 64
const MAX_LISTS_AND_OBJECTS = 100_000

/** The parts of a definition. */
const PARTS = ['sync', 'model', 'source', 'destination'] as const
const KINDS = [...PARTS, 'alert'] as const

/** A resource from its stored JSON. Throws `corrupt` for text that is no resource. */
export function parseResource(text: string): ResourceSpec {
  const value = text.length <= RESOURCE_CEILING_BYTES ? parseJson(text) : null
  const kind = kindOf(value)
  if (kind !== null && isStoredResource(kind, value)) return value
  throw new SluiceError('corrupt', `a stored resource cannot be read: ${text.slice(0, 100)}`)
}

/** A definition from its stored JSON; null for text that is no definition. */
export function parseDefinition(text: string): Definition | null {
  const value = text.length <= DEFINITION_CEILING_BYTES ? parseJson(text) : null
  return isDefinition(value) ? value : null
}

function isDefinition(value: unknown): value is Definition {
  if (!isObject(value) || Object.keys(value).length !== PARTS.length) return false
  return PARTS.every(part => Object.hasOwn(value, part) && isStoredResource(part, value[part]))
}

function kindOf(value: unknown): ResourceKind | null {
  if (!isObject(value)) return null
  return KINDS.find(kind => kind === value['kind']) ?? null
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for text that is not JSON, is nested too deeply, or has too many lists and objects. */
function parseJson(text: string): unknown {
  if (!isBounded(text)) return undefined
  try {
    return JSON.parse(text, (name, value: unknown) => {
      // Copying the object would set its prototype.
      if (name === '__proto__') throw new SyntaxError('an object has a name that JavaScript keeps for itself')
      return value
    })
  } catch {
    return undefined
  }
}

function isBounded(text: string): boolean {
  let depth = 0
  let opened = 0
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
    } else if (character === '[' || character === '{') {
      depth += 1
      opened += 1
      if (depth > MAX_DEPTH || opened > MAX_LISTS_AND_OBJECTS) return false
    } else if (character === ']' || character === '}') depth -= 1
  }
  return true
}

/** The place of the closing quote; the end of the text if there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text[end - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return end
  }
  return text.length
}
