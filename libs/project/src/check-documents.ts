/**
 * Checks documents that are in no folder, such as documents edited in a browser, together with the stored
 * resources.
 */
import { isAbsolute, resolve } from 'node:path'
import { SluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import type { ResourceSpec } from '@sluice/contracts/resources'
import { hasDoubtfulKind } from './checks/check-references.ts'
import { checkDecoded } from './checks/check-decoded.ts'
import { decodeResource } from './decode/decode-resource.ts'
import type { DecodedResource, DecodeOptions } from './decode/decoded.ts'
import { detailAt, inFileOrder } from './decode/places.ts'
import { isEnvironment } from './decode/environment-file.ts'
import { isProjectSettings } from './decode/project-settings.ts'
import { readDocuments, textOf } from './files/read-documents.ts'
import { ReadingLimits } from './files/reading-limits.ts'

/** The text of YAML documents, or the fields of one. All references except secrets are filled in. */
export type WrittenText =
  | { readonly yaml: string; readonly file?: string | undefined }
  | { readonly fields: { readonly [name: string]: unknown }; readonly file?: string | undefined }

export interface DocumentsOptions {
  /**
   * The resources that the documents may refer to. A document replaces the stored resource of its kind and
   * name.
   */
  readonly stored: readonly ResourceSpec[]
  /** The folder that relative paths of sources start from. Null if paths have to be absolute. */
  readonly dir: string | null
  readonly signal: AbortSignal
}

export interface CheckedDocuments {
  /** The resources that could be read, in the order of the documents. */
  readonly resources: readonly DecodedResource[]
  /** In the order of documents and lines. */
  readonly problems: readonly ErrorDetail[]
}

/** A server fills in no files and no variables, since its folder and environment are not the author's. */
const NOTHING_AROUND: DecodeOptions = {
  env: null,
  readFile: (_, path) => ({
    problem: `\`\${file:${path}}\`: a server reads no files of yours; write the text, or \`sluice apply\` the file from its folder`,
  }),
}

/** Connects to nothing. It throws only the signal's reason, and `config` for too many documents. */
export async function checkDocuments(
  documents: readonly WrittenText[],
  { stored, dir, signal }: DocumentsOptions,
): Promise<CheckedDocuments> {
  const limits = new ReadingLimits('the request', signal)
  const problems: ErrorDetail[] = []
  const decoded: DecodedResource[] = []
  const hiding = new Set<string>()
  for (const [index, document] of documents.entries()) {
    const path = document.file ?? `document ${index + 1}`
    const isYaml = 'yaml' in document
    const text = isYaml ? document.yaml : JSON.stringify(document.fields, null, 2)
    await limits.step(path)
    const read = readDocuments({ path, folder: '/', text })
    limits.count(path, { bytes: text.length, resources: read.resources.length })
    problems.push(...read.problems)
    if (read.problems.length > 0) hiding.add(text)
    for (const { line, reason } of read.skipped)
      problems.push({
        file: path,
        line,
        message: `the document ${reason}; wanted a resource with a \`kind\``,
      })
    for (const resource of read.resources)
      if (isProjectSettings(resource) || isEnvironment(resource))
        problems.push({
          file: path,
          line: 1,
          field: 'kind',
          message: `\`kind: ${isEnvironment(resource) ? 'environment' : 'project'}\` may stand only in a folder`,
        })
      else {
        const one = decodeResource(resource, { ...NOTHING_AROUND, isFilled: !isYaml })
        decoded.push(placed(one, dir))
        if (hasDoubtfulKind(one)) hiding.add(textOf(resource))
      }
  }
  const named = new Set(decoded.map(({ kind, name }) => `${kind}/${name ?? ''}`))
  const others = stored.filter(({ kind, name }) => !named.has(`${kind}/${name}`)).map(asDecoded)
  const mistakes = await checkDecoded([...decoded, ...others], hiding, () => limits.step('the documents'))
  const all = [...problems, ...mistakes.ofFiles, ...[...mistakes.ofResources.values()].flat()]
  return { resources: decoded, problems: inFileOrder(all) }
}

/** Throws `config` with all problems, if there are any. */
export function assertRight({ problems }: Pick<CheckedDocuments, 'problems'>, what: string): void {
  if (problems.length === 0) return
  const [only] = problems
  const found =
    problems.length === 1 && only !== undefined ? only.message : `it has ${problems.length} errors`
  throw new SluiceError('config', `${what} is not right: ${found}`, { details: problems })
}

/** Returns the resource with an absolute path, if it is a source on files. */
function placed(resource: DecodedResource, dir: string | null): DecodedResource {
  const { spec } = resource
  if (spec?.kind !== 'source' || !('path' in spec)) return resource
  if (dir !== null) return { ...resource, spec: { ...spec, path: resolve(dir, spec.path) } }
  if (isAbsolute(spec.path)) return resource
  const place = (resource.origins.get('path') ?? resource.origins.get(''))?.place
  const message = `source \`${spec.name}\`: wanted an absolute path, since this server has no project folder, found \`${spec.path}\``
  const problem = place === undefined ? { field: 'path', message } : detailAt(place, ['path'], message)
  return { ...resource, spec: null, problems: [...resource.problems, problem] }
}

/**
 * Turns a stored resource into a decoded one. It has no problems, since it was checked before it was stored.
 */
function asDecoded(spec: ResourceSpec): DecodedResource {
  const { kind, name } = spec
  return { kind, name, spec, texts: new Map(), origins: new Map(), problems: [] }
}
