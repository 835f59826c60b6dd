/**
 * Whose the resources are that a folder's own log has. The folder keeps the name under which they were stored
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
 * The project as its place knows it. `dataDir` is the folder of its log; null: its resources are stored
 * elsewhere. A log of an earlier version has noted nothing.
 */
export function ownedIn(dataDir: string | null, project: Project): Project {
  if (dataDir === null) return project
  const noted = notedProject(dataDir)
  const owner: Owner =
    noted === null ? { project: project.owner.project, isOnly: existsSync(dataDir) } : { project: noted }
  return { ...project, owner }
}

/** The project with first runs as the command line has them. */
export function beginningWith(
  of: { readonly syncs: readonly string[] | null; readonly how: 'backfill' | 'skip-existing' } | undefined,
  project: Project,
): Project {
  if (of === undefined) return project
  const isMeant = (name: string): boolean => of.syncs?.includes(name) ?? true
  const resources = [...project.resources].map(([key, spec]) => {
    const changed = spec.kind === 'sync' && isMeant(spec.name) ? { ...spec, firstRun: of.how } : spec
    return [key, changed] as const
  })
  return { ...project, resources: new Map(resources) }
}

/** Notes the project, unless one is noted. */
export function noteProject(dataDir: string | null, { project }: Owner): void {
  if (dataDir === null || notedProject(dataDir) !== null) return
  writeIfMissing(projectFile(dataDir), `${project}\n`)
}

/** Notes whose the folder is that was published, and tells what was left alone. */
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
