/** Puts the folder that a server serves into its log. */
import type { Project } from '@sluice/project/project'
import { changeResources, isSameSpec, type ResourceChange } from '@sluice/resources/change-resources'
import type { Pipeline } from '../pipeline.ts'
import { isResourceKind } from './resource-plan.ts'

/**
 * Makes the resources of the project those of its folder. What is gone from the folder is no longer there for
 * runs. A sync among it keeps its topics, so that it may come back. What was taken over on the server stays
 * as it is there. Resolves with what people should know.
 */
export async function publishFolder(
  pipeline: Pick<Pipeline, 'log' | 'io' | 'prefix'>,
  project: Project,
  signal: AbortSignal,
): Promise<readonly string[]> {
  let kept: string[] = []
  await changeResources(
    pipeline,
    stored => {
      kept = []
      const changes: ResourceChange[] = []
      for (const spec of project.resources.values()) {
        const { kind, name } = spec
        const before = stored.get(`${kind}/${name}`)
        const next = { project: project.name, spec: JSON.stringify(spec) }
        const isSame = before !== undefined && isSameSpec(before.spec, next.spec)
        if (isSame && before.project === project.name) continue
        // Its spec is empty if its record cannot be read.
        if (before === undefined || isSame || before.project === project.name || before.spec === '')
          changes.push({ kind, name, next })
        else kept.push(`${kind} \`${name}\``)
      }
      for (const { kind, name, project: owner } of stored.values()) {
        const isHere = [...project.resources.values()].some(spec => spec.kind === kind && spec.name === name)
        if (isResourceKind(kind) && owner === project.name && !isHere)
          changes.push({ kind, name, next: null })
      }
      return changes
    },
    { by: 'sluice up', signal, keepsState: true },
  )
  if (kept.length === 0) return []
  return [
    `these were taken over on the server, and stay as they are there: ${kept.join(', ')}. \`sluice diff\` shows what differs, and \`sluice apply --take-over\` makes them those of the folder.`,
  ]
}
