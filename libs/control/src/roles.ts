/**
 * Roles. A role allows one kind of action on a project. A person has any number of roles, and no role implies
 * another. The command `sluice` runs for its operator, who has all roles. A server finds out who its caller
 * is. `operations.ts` of libs/contracts names the role that each operation wants.
 *
 * Requests, answers, previews, and the keys and errors of rows are data of customers. They want `read`.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { AttemptView, RunView, SyncTrouble } from '@sluice/contracts/api'
import { OPERATIONS, type Operation, type OperationName, type Role } from '@sluice/contracts/api/operations'

export type { Role } from '@sluice/contracts/api/operations'

const ROLES: { readonly [Name in Role]: string } = {
  view: 'see runs and their counts',
  read: 'see rows, requests and answers',
  edit: 'write the project',
  run: 'start and end runs',
  approve: 'approve held runs',
  operate: 'send all rows again, discard rows, and reset a sync',
  secrets: 'set and remove secrets',
}

export const ALL_ROLES: ReadonlySet<Role> = new Set([
  'view',
  'read',
  'edit',
  'run',
  'approve',
  'operate',
  'secrets',
])

export function isRole(text: string): text is Role {
  return Object.hasOwn(ROLES, text)
}

/** Throws `forbidden`, with the role that is missing, unless the roles are enough for the operation. */
export function assertMayAsk(roles: ReadonlySet<Role>, name: OperationName): void {
  const { role, also }: Operation = OPERATIONS[name]
  for (const wanted of [role, also ?? null]) if (wanted !== null) assertMay(roles, wanted)
}

function assertMay(roles: ReadonlySet<Role>, wanted: Role): void {
  if (roles.has(wanted)) return
  throw new SluiceError('forbidden', `You may not ${ROLES[wanted]}: that wants the role \`${wanted}\`.`)
}

/** A run as these roles may see it. Without `read`, it names no row, and no error that may quote one. */
export function shownTo(roles: ReadonlySet<Role>, view: RunView): RunView {
  if (roles.has('read')) return view
  const { invalidRows: _, errors: _quoting, firstError: _first, held, error, ...counts } = view
  return {
    ...counts,
    error: error === null ? null : 'It failed. Only the role `read` sees why.',
    ...(held === undefined ? {} : { held: { ...held, samples: [] } }),
  }
}

/** Returns the trouble of a sync as these roles may see it. Its text may quote an error of a row. */
export function troubleShownTo(roles: ReadonlySet<Role>, trouble: SyncTrouble): SyncTrouble {
  return roles.has('read')
    ? trouble
    : { ...trouble, text: 'Something is wrong. Only the role `read` sees what.' }
}

/** A test as these roles may see it. Without `read`, it shows only the outcome. */
export function attemptShownTo(roles: ReadonlySet<Role>, view: AttemptView): AttemptView {
  if (roles.has('read')) return view
  return {
    ...view,
    ...{ keys: [], url: '', requestHeaders: {}, requestBody: null, responseHeaders: {}, responseBody: null },
    error: view.error === null ? null : 'It was not delivered. Only the role `read` sees why.',
  }
}
