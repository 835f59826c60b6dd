/**
 * The owner of the resources in a folder's own log. The folder keeps the name under which they were stored
 * first, so that neither a move nor another name in sluice.yaml makes it another project.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Owner } from '@sluice/contracts/document-records'
import type { OnPublished } from '@sluice/control/resources/publish-project'
import type { Project } from '@sluice/project/project'
import { writeIfMissing } from '@sluice/runtime/private-files'

/** The longest name of a project that `sluice apply` takes. */
const MAX_PROJECT = 200

/**
 * Returns the project with the owner that its log has noted. `dataDir` is the folder of the log; null if the
 * resources are stored elsewhere. The log of an earlier version has noted none.
 */
export function ownedIn(dataDir: string | null, project: Project): Project {
  if (dataDir === null) return project
  const noted = notedProject(dataDir)
  const owner: Owner =
    noted === null ? { project: project.owner.project, isOnly: existsSync(dataDir) } : { project: noted }
  return { ...project, owner }
}

/** Returns the project with the first runs that the command line asks for. */
export function withFirstRun(
  first: { readonly syncs: readonly string[] | null; readonly how: 'backfill' | 'skip-existing' } | undefined,
  project: Project,
): Project {
  if (first === undefined) return project
  const isMeant = (name: string): boolean => first.syncs?.includes(name) ?? true
  const resources = [...project.resources].map(([key, spec]) => {
    const changed = spec.kind === 'sync' && isMeant(spec.name) ? { ...spec, firstRun: first.how } : spec
    return [key, changed] as const
  })
  return { ...project, resources: new Map(resources) }
}

/** Notes the project, unless one is noted. */
export function noteProject(dataDir: string | null, { project }: Owner): void {
  if (dataDir === null || notedProject(dataDir) !== null) return
  writeIfMissing(projectFile(dataDir), `${project}\n`)
}

/** Notes the owner of a folder that was published, and reports what was left alone. */
export function publishedIn(dataDir: string | null, tell: (notice: string) => void): OnPublished {
  return (owner, notices) => {
    noteProject(dataDir, owner)
    for (const notice of notices) tell(notice)
  }
}

function projectFile(dataDir: string): string {
  return join(dataDir, 'project')
}

function notedProject(dataDir: string): string | null {
  try {
    const noted = readFileSync(projectFile(dataDir), 'utf8').trim()
    return noted === '' || noted.length > MAX_PROJECT ? null : noted
  } catch {
    return null
  }
}
