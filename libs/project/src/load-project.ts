/** Loads a project folder: files → documents → resources. It finds every error of the folder at once. */
import { realpathSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { type ErrorDetail, messageOf, SluiceError } from '@sluice/contracts/errors'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { ResourceSpec } from '@sluice/contracts/resources'
import { blockedResources, hidingMistakes, type Mistakes } from './blocked-resources.ts'
import { decodeUtf8, type Unreadable, readRegularFile } from './files/read-regular-file.ts'
import { hasDoubtfulKind } from './checks/check-references.ts'
import { checkDecoded } from './checks/check-decoded.ts'
import { decodeResource } from './decode/decode-resource.ts'
import type { DecodedResource, DecodeOptions } from './decode/decoded.ts'
import {
  decodeSettings,
  isProjectSettings,
  misplacedSettings,
  type ProjectSettings,
} from './decode/project-settings.ts'
import {
  isEnvironment,
  misplacedEnvironment,
  noEnvironment,
  readEnvironment,
} from './decode/environment-file.ts'
import { environmentFile, environmentIn, mayBeEnvironment, saysEnvironment } from './files/environments.ts'
import { PROJECT_FILE } from './files/project-root.ts'
import { findYamlFiles, MAX_YAML_FILES } from './files/find-files.ts'
import { ReadingLimits } from './files/reading-limits.ts'
import { inFileOrder } from './decode/places.ts'
import { type Project, type ResourceKey, resourceKey } from './project.ts'
import { isTestFile } from './sync-tests/read-sync-tests.ts'
import {
  readDocuments,
  textOf,
  type ReadDocuments,
  type ResourceDocument,
  type SkippedDocument,
} from './files/read-documents.ts'

export interface LoadOptions {
  /** The values for `${NAME}`. `SLUICE_ENV` names the environment, if there is one. */
  readonly env: { readonly [name: string]: string | undefined }
  readonly signal: AbortSignal
}

/**
 * Reads every `*.yaml` and `*.yml` below `dir`. Of the files of environments, it reads only the file of
 * `SLUICE_ENV`. Connects to nothing. Throws `missing-file` if the folder does not exist or lacks the
 * environment, and `config` with one detail for each error of the folder, in the order of files and lines. An
 * abort throws the signal's reason.
 */
export async function loadProject(dir: string, options: LoadOptions): Promise<Project> {
  const folder = await readFolder(dir, options)
  const problems = [...folder.ofFiles, ...[...folder.ofResources.values()].flat()]
  if (problems.length === 0) return projectOf(folder, new Map())
  const errors = problems.length === 1 ? 'an error' : `${problems.length} errors`
  throw new SluiceError('config', `The project in ${folder.dir} has ${errors}.`, {
    details: inFileOrder(problems),
  })
}

/**
 * Loads the folder without the resources that cannot be used. `project.blocked` lists these. A command about
 * one sync uses this function, since a mistake stops only the syncs that use its resource. Throws
 * `missing-file` and the signal's reason.
 */
export async function loadUsable(dir: string, options: LoadOptions): Promise<Project> {
  const folder = await readFolder(dir, options)
  return projectOf(folder, blockedResources(folder.decoded, folder))
}

interface Folder extends Mistakes, Pick<Project, 'dir' | 'owner' | 'skipped'> {
  readonly decoded: readonly DecodedResource[]
  /** The mistakes of files that hide the settings of the project. */
  readonly ofProject: readonly ErrorDetail[]
}

async function readFolder(dir: string, options: LoadOptions): Promise<Folder> {
  const root = resolve(dir)
  const ofFiles: ErrorDetail[] = []
  const skipped: SkippedDocument[] = []
  const decoded: DecodedResource[] = []
  const hiding = new Set<string | null>()
  const limits = new ReadingLimits(root, options.signal)
  const found = await filesOf(root, options.signal)
  const chosen = environmentIn(root, options.env)
  const chosenFile = chosen === null ? null : environmentFile(chosen)
  const isOwn = (path: string): boolean =>
    path !== chosenFile && !(mayBeEnvironment(path) && saysEnvironment(readFile(root, path).text))
  const files = found.filter(isOwn)
  // All syncs need the settings, so their file is read before all other files.
  const projectFile = files.includes(PROJECT_FILE) ? readFile(root, PROJECT_FILE) : null
  const here: DecodeOptions = { env: options.env, readFile: filesInside(root) }
  const environment =
    chosenFile === null
      ? noEnvironment(options.env)
      : readEnvironment(chosenFile, readFile(root, chosenFile), here)
  const around: DecodeOptions = { ...here, env: environment.env }
  const settings = settingsIn(projectFile, around)
  const ofProject = [...settings.problems]
  const decodeOptions: DecodeOptions = { ...around, defaults: settings.defaults }
  for (const path of files) {
    await limits.step(path)
    const read = path === PROJECT_FILE && projectFile !== null ? projectFile : readFile(root, path)
    limits.count(path, { bytes: read.bytes, resources: read.resources.length })
    for (const problem of read.problems) ofFiles.push(problem)
    if (read.problems.length > 0) hiding.add(read.text)
    if (!isTestFile(path)) for (const document of read.skipped) skipped.push(document)
    for (const document of read.resources) {
      await limits.step(path)
      if (isEnvironment(document)) ofFiles.push(misplacedEnvironment(document))
      else if (!isProjectSettings(document)) {
        const resource = decodeResource(environment.apply(document), decodeOptions)
        decoded.push(resource)
        if (hasDoubtfulKind(resource)) hiding.add(textOf(document))
      } else if (document !== settings.document) ofProject.push(misplacedSettings(document))
    }
  }
  ofProject.push(...environment.problems({ areAllRead: hiding.size === 0 }))
  ofFiles.push(...ofProject.filter(problem => !ofFiles.includes(problem)))
  const mistakes = await checkDecoded(decoded, hiding, ({ origins }) =>
    limits.step(origins.get('')?.place.file ?? root),
  )
  ofFiles.push(...mistakes.ofFiles)
  ofProject.push(...mistakes.ofFiles.filter(({ file }) => file === chosenFile))
  const { ofResources } = mistakes
  return {
    dir: root,
    owner: settings.name === null ? { project: basename(root), folder: root } : { project: settings.name },
    skipped,
    decoded,
    ofFiles,
    ofResources,
    ofProject,
  }
}

interface ReadFile extends ReadDocuments {
  /** Null if it cannot be read. */
  readonly text: string | null
  readonly bytes: number
}

/** Reads one file of the folder, with the problem of the file as a whole, if it has one. */
function readFile(root: string, path: string): ReadFile {
  const text = readYaml(join(root, path))
  if (typeof text === 'string')
    return { ...readDocuments({ path, folder: dirname(join(root, path)), text }), text, bytes: text.length }
  const problem = { file: path, line: text.line ?? 1, column: 1, message: text.problem }
  return { first: null, resources: [], skipped: [], problems: [problem], text: null, bytes: 0 }
}

/**
 * The settings in the project's file, and the document that has them. If the first document of the file
 * cannot be read, its settings have the problems of the file.
 */
function settingsIn(
  file: ReadFile | null,
  options: DecodeOptions,
): ProjectSettings & { readonly document: ResourceDocument | null } {
  const none = { name: null, defaults: null, document: null }
  if (file === null) return { ...none, problems: [] }
  const document = file.resources.find(({ document: each }) => each === file.first)
  if (document === undefined) return { ...none, problems: file.problems }
  return isProjectSettings(document)
    ? { ...decodeSettings(document, options), document }
    : { ...none, problems: [] }
}

function projectOf(
  { dir, owner, decoded, skipped, ...mistakes }: Folder,
  blocked: ReadonlyMap<ResourceKey, readonly ErrorDetail[]>,
): Project {
  const resources = new Map<ResourceKey, ResourceSpec>()
  const origins = new Map<ResourceKey, DecodedResource['origins']>()
  for (const { spec, origins: fields } of decoded) {
    if (spec === null) continue
    const key = resourceKey(spec.kind, spec.name)
    if (blocked.has(key)) continue
    const isOnFiles = spec.kind === 'source' && 'path' in spec
    resources.set(key, isOnFiles ? { ...spec, path: resolve(dir, spec.path) } : spec)
    origins.set(key, fields)
  }
  return { dir, owner, resources, skipped, origins, blocked, unread: hidingMistakes(decoded, mistakes) }
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
    `${root} has more than ${MAX_YAML_FILES} YAML files, or too many folders, so it is no project: name the project folder with \`--dir\`.`,
  )
}

const MAX_YAML_BYTES = 1_000_000

function readYaml(path: string): string | Unreadable {
  try {
    const read = readRegularFile(path, { maxBytes: MAX_YAML_BYTES })
    return read instanceof Uint8Array ? decodeUtf8(read) : read
  } catch (error) {
    return { problem: `the file cannot be read (${reasonOf(error)})` }
  }
}

/**
 * Reads the files that `${file:PATH}` names. A file has to be inside the project after links are resolved, so
 * that a project by somebody else cannot read other files of the machine. Files in `.sluice` do not belong to
 * the project.
 */
function filesInside(root: string): DecodeOptions['readFile'] {
  return (folder, path) => {
    const absolute = resolve(folder, path)
    try {
      const real = realpathSync(absolute)
      const inside = relative(realpathSync(root), real)
      if (
        inside === '' ||
        inside.startsWith('..') ||
        isAbsolute(inside) ||
        inside.split(sep).some(part => part.toLowerCase() === '.sluice')
      )
        return {
          problem: `\`\${file:${path}}\`: wanted a file inside of the project folder, found one outside`,
        }
      const read = readRegularFile(real, { maxBytes: FILE_CEILING_BYTES })
      const text = read instanceof Uint8Array ? decodeUtf8(read) : read
      if (typeof text === 'string') return { text }
      const line = text.line === undefined ? '' : ` (line ${text.line})`
      return { problem: `\`\${file:${path}}\`: ${text.problem}${line}` }
    } catch (error) {
      return { problem: `\`\${file:${path}}\`: ${absolute} cannot be read (${reasonOf(error)})` }
    }
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'it does not exist'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return messageOf(error)
}
