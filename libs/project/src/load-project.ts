/** Loads a project folder: files → documents → resources. It reports every error of the folder at once. */
import { readFile, stat } from 'node:fs/promises'
import { readFileSync, statSync, type Stats } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { ResourceSpec } from '@sluice/contracts/resources'
import { decodeUtf8, type Unreadable } from './files/decode-utf8.ts'
import { checkHeaders } from './checks/check-headers.ts'
import { checkJsonPaths } from './checks/check-json-paths.ts'
import { checkReferences } from './checks/check-references.ts'
import { checkTemplates } from './checks/check-templates.ts'
import { decodeResource } from './decode/decode-resource.ts'
import type { DecodedResource, DecodeOptions } from './decode/decode-resource.ts'
import { findYamlFiles, MAX_YAML_FILES } from './files/find-files.ts'
import { inFileOrder } from './decode/places.ts'
import type { Project, ResourceKey } from './project.ts'
import { resourceKey } from './project.ts'
import { readDocuments } from './files/read-documents.ts'
import type { SkippedDocument } from './files/read-documents.ts'

/** The size limit of a YAML file, and of a file that `${file:PATH}` names. */
const MAX_FILE_BYTES = 10_000_000

export interface LoadOptions {
  /** The values for `${NAME}`. */
  readonly env: { readonly [name: string]: string | undefined }
  readonly signal: AbortSignal
}

/**
 * Reads every `*.yaml` and `*.yml` below `dir`. Connects to nothing. Throws `missing-file` if the folder does
 * not exist, and `config` with one detail for each error of the folder, in the order of files and lines. An
 * abort throws the signal's reason.
 */
export async function loadProject(dir: string, options: LoadOptions): Promise<Project> {
  const root = resolve(dir)
  const problems: ErrorDetail[] = []
  const skipped: SkippedDocument[] = []
  const decoded: DecodedResource[] = []
  const decodeOptions: DecodeOptions = { env: options.env, readFile: readReferencedFile }
  for (const path of await filesOf(root, options.signal)) {
    options.signal.throwIfAborted()
    const text = await readYaml(join(root, path))
    if (typeof text !== 'string') {
      problems.push({ file: path, line: text.line ?? 1, column: 1, message: text.problem })
      continue
    }
    const read = readDocuments({ path, folder: dirname(join(root, path)), text })
    problems.push(...read.problems)
    skipped.push(...read.skipped)
    decoded.push(...read.resources.map(document => decodeResource(document, decodeOptions)))
  }
  problems.push(...decoded.flatMap(resource => resource.problems), ...checkReferences(decoded))
  problems.push(...checkTemplates(decoded), ...checkJsonPaths(decoded), ...checkHeaders(decoded))
  if (problems.length > 0) {
    const errors = problems.length === 1 ? 'an error' : `${problems.length} errors`
    throw new SluiceError('config', `The project in ${root} has ${errors}.`, {
      details: inFileOrder(problems),
    })
  }
  return projectOf(root, decoded, skipped)
}

function projectOf(
  dir: string,
  decoded: readonly DecodedResource[],
  skipped: readonly SkippedDocument[],
): Project {
  const resources = new Map<ResourceKey, ResourceSpec>()
  const origins = new Map<ResourceKey, DecodedResource['origins']>()
  for (const { spec, origins: fields } of decoded) {
    if (spec === null) continue
    const key = resourceKey(spec.kind, spec.name)
    const isFolder = spec.kind === 'source' && spec.type === 'duckdb'
    resources.set(key, isFolder ? { ...spec, path: resolve(dir, spec.path) } : spec)
    origins.set(key, fields)
  }
  return { dir, name: basename(dir), resources, skipped, origins }
}

async function filesOf(root: string, signal: AbortSignal): Promise<readonly string[]> {
  const found = await stat(root).catch((error: unknown) => {
    throw new SluiceError('missing-file', `The project folder ${root} does not exist.`, { cause: error })
  })
  if (!found.isDirectory()) {
    throw new SluiceError('missing-file', `${root} is a file; wanted a project folder.`)
  }
  const files = await findYamlFiles(root, signal)
  if (files !== null) return files
  throw new SluiceError(
    'config',
    `${root} has more than ${MAX_YAML_FILES} YAML files or too many folders; name the project folder with --dir.`,
  )
}

async function readYaml(path: string): Promise<string | Unreadable> {
  try {
    return unfit(await stat(path)) ?? decodeUtf8(await readFile(path))
  } catch (error) {
    return { problem: `the file cannot be read (${reasonOf(error)})` }
  }
}

/** Synchronous, because the decoder calls it in the middle of a document. Such files are small and local. */
function readReferencedFile(folder: string, path: string): { text: string } | { problem: string } {
  const absolute = resolve(folder, path)
  try {
    const text = unfit(statSync(absolute)) ?? decodeUtf8(readFileSync(absolute))
    if (typeof text === 'string') return { text }
    const line = text.line === undefined ? '' : ` (line ${text.line})`
    return { problem: `\`\${file:${path}}\`: ${text.problem}${line}` }
  } catch (error) {
    return { problem: `\`\${file:${path}}\`: ${absolute} cannot be read (${reasonOf(error)})` }
  }
}

/** Why the loader must not open a file, or null. Pipes and devices may never end. */
function unfit(stats: Stats): Unreadable | null {
  if (stats.isDirectory()) return { problem: 'the file cannot be read (it is a folder)' }
  if (!stats.isFile()) return { problem: 'wanted a file, found a pipe, socket or device' }
  if (stats.size <= MAX_FILE_BYTES) return null
  return { problem: `wanted a file of at most ${MAX_FILE_BYTES} bytes, found ${stats.size}` }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'it does not exist'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return error instanceof Error ? error.message : String(error)
}
