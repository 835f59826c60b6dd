/** The settings of a project: a document `kind: project`, which may be the first one in `sluice.yaml`. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { resourceName, sync } from '@sluice/contracts/resources'
import { isScalar } from 'yaml'
import { z } from 'zod'
import { jsonPathProblems, scheduleProblems } from '../checks/check-paths-and-schedules.ts'
import { placedInFile } from '../checks/check-templates.ts'
import { PROJECT_FILE } from '../files/project-root.ts'
import type { ResourceDocument } from '../files/read-documents.ts'
import { entriesOf, resolvedNode } from '../yaml/map-entries.ts'
import { placeIn } from '../decode/places.ts'
import { decodeFields } from './decode-resource.ts'
import type { DecodedFields, DecodeOptions, SyncDefaults } from './decoded.ts'
import { detailAt } from './places.ts'

const { shape } = sync

/**
 * The fields of a sync for which a project may set defaults. Fields that distinguish syncs, and `partitions`,
 * are not among them.
 */
const syncDefaults = z.strictObject({
  schedule: shape.schedule,
  paused: shape.paused,
  firstRun: shape.firstRun,
  timeout: shape.timeout,
  errors: shape.errors,
  limits: shape.limits,
  compare: shape.compare,
  delivery: shape.delivery,
  maxDuration: shape.maxDuration,
  removalGuard: shape.removalGuard,
})

/** The document as users write it. */
export const projectSettings = z.strictObject({
  kind: z.literal('project'),
  name: resourceName
    .optional()
    .describe("Distinguishes the project's resources from those of others; the folder's name by default."),
  title: z.string().optional().describe('A name for people.'),
  defaults: syncDefaults
    .optional()
    .describe('Fields that each sync of the project has where it does not write them; each as a whole.'),
})

export interface ProjectSettings {
  /** Null if the document has no name, or an unreadable one. */
  readonly name: string | null
  /** Null if the document has no defaults, or has a mistake. */
  readonly defaults: SyncDefaults | null
  readonly problems: readonly ErrorDetail[]
}

/** True for a document whose kind is `project`. */
export function isProjectSettings({ map, document }: ResourceDocument): boolean {
  const kind = entriesOf(map, document).entries.find(({ key }) => key === 'kind')
  if (kind === undefined) return false
  const { node } = resolvedNode(kind.value, document)
  return isScalar(node) && node.source === 'project'
}

/** The problem of settings that are not the first document in `sluice.yaml`. */
export function misplacedSettings({ file, document, map }: ResourceDocument): ErrorDetail {
  const start = entriesOf(map, document).entries[0]?.keyOffset ?? 0
  const message = `\`kind: project\` may stand only in \`${PROJECT_FILE}\` of the project folder, as its first document`
  return detailAt(placeIn(file, start), ['kind'], message)
}

/** Reads the settings. It does not throw, whatever the document holds. */
export function decodeSettings(document: ResourceDocument, options: DecodeOptions): ProjectSettings {
  const decoded = decodeFields(document, projectSettings, options)
  const read = decoded.problems.length > 0 ? undefined : projectSettings.safeParse(decoded.value).data
  if (read === undefined) return { name: null, defaults: null, problems: decoded.problems }
  const name = read.name ?? null
  const problems = read.defaults === undefined ? [] : faultsOf(read.defaults, decoded)
  if (problems.length > 0) return { name, defaults: null, problems }
  return { name, defaults: defaultsOf(decoded), problems }
}

/**
 * The mistakes in defaults that have the right form. Each mistake is reported once here, instead of once for
 * each sync.
 */
function faultsOf(
  { schedule, errors }: z.output<typeof syncDefaults>,
  { label, origins }: DecodedFields,
): ErrorDetail[] {
  return [...scheduleProblems({ schedule }), ...jsonPathProblems({ errors, triggers: {} })].map(detail =>
    placedInFile({ ...detail, field: `${PREFIX}${detail.field ?? ''}` }, origins, label),
  )
}

const PREFIX = 'defaults.'
const written = z.object({ defaults: z.record(z.string(), z.unknown()) })

/** The defaults as written, so that a field without a default stays absent. */
function defaultsOf({ value, origins }: DecodedFields): SyncDefaults | null {
  const values = written.safeParse(value).data?.defaults
  if (values === undefined) return null
  const fields = [...origins].filter(([field]) => field.startsWith(PREFIX))
  return { values, origins: new Map(fields.map(([field, origin]) => [field.slice(PREFIX.length), origin])) }
}
