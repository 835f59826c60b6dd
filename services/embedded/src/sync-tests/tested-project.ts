/** A project as its tests run it: without limits of time and rate, and without logins and certificates. */
import type { DestinationSpec, ResourceSpec, SyncSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import type { Project, ResourceKey } from '@sluice/project/project'
import type { Environment } from '@sluice/runtime/environment'
import { secretVariable } from '@sluice/secrets/environment'

/** Requests of a destination with OAuth have this token. */
const ACCESS_TOKEN = 'access-token'
const NO_PAUSE = { first: 1, max: 1 }

/**
 * Returns the project with syncs that send one request after the other, in the order of the rows, without
 * pauses. Rows of the first run count as delivered, unless `sends` names the sync.
 */
export function testedProject(project: Project, sends: ReadonlySet<string> = new Set()): Project {
  const resources = new Map<ResourceKey, ResourceSpec>()
  for (const [key, spec] of project.resources)
    if (spec.kind === 'sync') resources.set(key, testedSync(spec, sends.has(spec.name)))
    else if (spec.kind === 'destination') resources.set(key, testedDestination(spec))
    else if (spec.kind !== 'alert') resources.set(key, spec)
  return { ...project, resources }
}

function testedSync(
  { paused: _, limits: __, maxDuration: ___, ...spec }: SyncSpec,
  sends: boolean,
): SyncSpec {
  const { errors } = spec
  const waits = errors?.retry === 'now' ? { errors: { ...errors, backoff: NO_PAUSE } } : {}
  const firstRun = sends ? 'backfill' : 'skip-existing'
  return { ...spec, ...waits, schedule: 'manual', firstRun, partitions: 1, removalGuard: false }
}

function testedDestination({ tls: _, auth, ...spec }: DestinationSpec): DestinationSpec {
  const usesOAuth = auth !== undefined && 'oauth2' in auth
  return {
    ...spec,
    ...(auth === undefined ? {} : { auth: usesOAuth ? { bearer: ACCESS_TOKEN } : auth }),
    allowPrivateNetwork: true,
    limits: { concurrency: 1 },
    breaker: false,
  }
}

/** Returns an environment in which each secret of the project is set. Its value is its own name. */
export function testedSecrets({ resources }: Project): Environment {
  const names = secretNames(JSON.stringify([...resources.values()]))
  return Object.fromEntries(names.map(name => [secretVariable(name), name]))
}
