/** The settings of a project: a document `kind: project`, which may stand first in `sluice.yaml`. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { PROJECT_FILE } from '../files/project-root.ts'
import { resourceName } from '@sluice/contracts/resources'
import { isScalar } from 'yaml'
import { z } from 'zod'
import type { ResourceDocument } from '../files/read-documents.ts'
import { entriesOf, resolvedNode } from '../yaml/map-entries.ts'
import { placeIn } from '../yaml/yaml-file.ts'
import { detailAt, didYouMean, list, quoted } from './places.ts'

/** The document as users write it. */
export const projectSettings = z.strictObject({
  kind: z.literal('project'),
  name: resourceName
    .optional()
    .describe("Distinguishes the project's resources from those of others; the folder's name by default."),
  title: z.string().optional().describe('A name for people.'),
})
type ProjectSettings = z.infer<typeof projectSettings>

interface DecodedSettings {
  readonly settings: ProjectSettings | null
  readonly problems: readonly ErrorDetail[]
}

const FIELDS = Object.keys(projectSettings.shape)

/** True for a document whose kind is `project`. */
export function isProjectSettings({ map, document }: ResourceDocument): boolean {
  const kind = entriesOf(map, document).entries.find(({ key }) => key === 'kind')
  if (kind === undefined) return false
  const { node } = resolvedNode(kind.value, document)
  return isScalar(node) && node.source === 'project'
}

/** Reads the settings. `isFirst` says that the document is the first of its file. */
export function decodeSettings(
  read: ResourceDocument,
  { isFirst }: { readonly isFirst: boolean },
): DecodedSettings {
  const { file, document, map } = read
  const { entries, problems: wrongKeys } = entriesOf(map, document)
  const at = (offset: number, field: string, message: string): ErrorDetail =>
    detailAt(placeIn(file, offset), [field], message)
  const start = entries[0]?.keyOffset ?? 0
  if (!isFirst || file.path !== PROJECT_FILE) {
    const message = `\`kind: project\` may stand only in \`${PROJECT_FILE}\` of the project folder, as its first document`
    return { settings: null, problems: [at(start, 'kind', message)] }
  }
  const problems = wrongKeys.map(({ key, offset, message }) => at(offset, key ?? 'kind', message))
  const values: Record<string, string> = {}
  for (const { key, keyOffset, value } of entries) {
    if (!FIELDS.includes(key)) {
      const hint = didYouMean(key, FIELDS)
      problems.push(
        at(
          keyOffset,
          key,
          `unknown field ${quoted(key)}${hint}; the fields of a project are ${list(FIELDS)}`,
        ),
      )
      continue
    }
    const { node, offset } = resolvedNode(value, document)
    const text = isScalar(node) ? (node.source ?? '') : null
    const issue = projectSettings.shape[key === 'name' ? 'name' : 'title'].safeParse(text).error?.issues[0]
    if (key === 'kind') values[key] = 'project'
    else if (text === null || issue !== undefined)
      problems.push(
        at(
          offset,
          key,
          `wanted ${issue?.message ?? 'text'}, found ${text === null ? 'something else' : quoted(text)}`,
        ),
      )
    else values[key] = text
  }
  return { settings: problems.length > 0 ? null : projectSettings.parse(values), problems }
}
