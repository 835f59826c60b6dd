/** Reads the `*.test.yaml` files of a project, and writes requests into them. */
import { join, resolve } from 'node:path'
import { type ErrorDetail, SluiceError } from '@sluice/contracts/errors'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { isNode, LineCounter, parseDocument, stringify, type Document } from 'yaml'
import { detailAt, type FieldPath, placeIn } from '../decode/places.ts'
import { findYamlFiles, MAX_YAML_FILES } from '../files/find-files.ts'
import { decodeUtf8, readRegularFile } from '../files/read-regular-file.ts'
import { type ExpectedRequest, type SyncTestFile, syncTestSchema } from './sync-test-schema.ts'

const MAX_ALIASES = 1_000
const TEST_FILE = /\.test\.ya?ml$/i

export interface SyncTests extends SyncTestFile {
  /** Relative to the project folder. */
  readonly file: string
  /** The line of each case, from 1. */
  readonly lines: readonly number[]
  readonly text: string
}

/** True for the path of a file that may have tests of a sync. */
export function isTestFile(path: string): boolean {
  return TEST_FILE.test(path)
}

/**
 * Returns the files with tests below the project folder, in the order of their paths. Throws `config` with
 * one detail for each mistake in any of them.
 */
export async function readSyncTests(dir: string, signal: AbortSignal): Promise<readonly SyncTests[]> {
  const root = resolve(dir)
  const files = await findYamlFiles(root, signal)
  if (files === null)
    throw new SluiceError(
      'config',
      `${root} has more than ${MAX_YAML_FILES} YAML files, or too many folders.`,
    )
  const problems: ErrorDetail[] = []
  const read: SyncTests[] = []
  for (const file of files.filter(isTestFile)) {
    const text = readText(join(root, file))
    if (typeof text !== 'string')
      problems.push({ file, line: text.line ?? 1, column: 1, message: text.problem })
    else {
      const found = parseTests(file, text)
      if (found === null) continue
      if ('problems' in found) problems.push(...found.problems)
      else read.push(found)
    }
  }
  if (problems.length === 0) return read
  const errors = problems.length === 1 ? 'an error' : `${problems.length} errors`
  throw new SluiceError('config', `The tests in ${root} have ${errors}.`, { details: problems })
}

function readText(path: string): ReturnType<typeof decodeUtf8> {
  const bytes = readRegularFile(path, { maxBytes: FILE_CEILING_BYTES })
  return 'problem' in bytes ? bytes : decodeUtf8(bytes)
}

/** Null for a file of resources, even if it is named like a test file. */
function parseTests(
  file: string,
  text: string,
): SyncTests | { readonly problems: readonly ErrorDetail[] } | null {
  const lines = new LineCounter()
  const document = parse(text, lines)
  const placeAt = (offset: number) => placeIn({ path: file, lines }, offset)
  if (document.errors.length > 0)
    return { problems: document.errors.map(({ pos, message }) => ({ ...placeAt(pos[0]), message })) }
  if (document.has('kind')) return null
  const parsed = syncTestSchema.safeParse(withSafeNumbers(document.toJS({ maxAliasCount: MAX_ALIASES })))
  if (parsed.success) {
    const at = parsed.data.cases.map((_, index) => placeAt(offsetOf(document, ['cases', index])).line)
    return { ...parsed.data, file, text, lines: at }
  }
  return {
    problems: parsed.error.issues.map(issue => {
      const path = issue.path.filter(part => typeof part !== 'symbol')
      const unknown = issue.code === 'unrecognized_keys' ? issue.keys : null
      const message =
        unknown === null ? `wanted ${issue.message}` : `\`${unknown.join('`, `')}\` is not a field here`
      const place = placeAt(offsetOf(document, [...path, ...(unknown ?? []).slice(0, 1)]))
      return detailAt(place, path, message)
    }),
  }
}

function parse(text: string, lineCounter?: LineCounter): Document.Parsed {
  return parseDocument(text, {
    version: '1.2',
    intAsBigInt: true,
    prettyErrors: false,
    ...(lineCounter === undefined ? {} : { lineCounter }),
  })
}

/** Returns the value with a number in place of each integer that a number can hold. */
function withSafeNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(withSafeNumbers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withSafeNumbers(each)]))
}

/** Returns the offset of the node at the path, or of its nearest node above. */
function offsetOf(document: Document.Parsed, path: FieldPath): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range !== null && node.range !== undefined) return node.range[0]
  }
  return 0
}

/** Returns the text of a file in which these requests replace the requests of its cases; comments stay. */
export function withRequests(
  { text }: Pick<SyncTests, 'text'>,
  requests: ReadonlyMap<number, readonly ExpectedRequest[]>,
): string {
  const document = parse(text)
  for (const [index, expected] of requests)
    document.setIn(['cases', index, 'requests'], document.createNode(expected))
  return document.toString({ lineWidth: 120 })
}

/** Returns a value as YAML, without a line break at its end. */
export function yamlOf(value: unknown): string {
  return stringify(value, { lineWidth: 0 }).trimEnd()
}

const LONG_NUMBER = /\d{16}/

/** Parses JSON, with a bigint for each integer that a number cannot hold. Returns any other text as it is. */
export function jsonOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    // JSON is YAML, and that parser keeps all digits.
    return LONG_NUMBER.test(text) ? withSafeNumbers(parse(text).toJS()) : value
  } catch {
    return text
  }
}
