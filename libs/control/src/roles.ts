/**
 * Who may ask for what. A role is a thing that a person may do with a project. A person has any number of
 * them, and none implies another. `sluice` runs for its operator, who has all; a server asks who it is.
 *
 * Requests, answers, previews, and the keys and errors of rows are data of customers. They want `read`.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { AttemptView, RunView } from '@sluice/contracts/api'
import type { RunCause } from '@sluice/contracts/records'
import type { Control, ResourceKeeping, RunRequest } from './port.ts'

const ROLES = {
  view: 'see runs and their counts',
  read: 'see rows, requests and answers',
  edit: 'write the project',
  run: 'start and end runs',
  approve: 'approve held runs',
  operate: 'send all rows again, give rows up, and begin a sync anew',
  secrets: 'set and remove secrets',
} as const
export type Role = keyof typeof ROLES

export const ALL_ROLES: ReadonlySet<Role> = new Set([
  'view',
  'read',
  'edit',
  'run',
  'approve',
  'operate',
  'secrets',
])

/** True for the name of a role. */
export function isRole(text: string): text is Role {
  return Object.hasOwn(ROLES, text)
}

/** All that can be asked: the methods of control, and what is done beside it. */
export type Operation =
  | Exclude<keyof Control, symbol | 'keeping'>
  | Exclude<keyof ResourceKeeping, symbol>
  | 'checkConnections'
  | 'publish'
  | 'past'
  | 'logIn'
  | 'tokens'

/**
 * The role that each operation wants. That of a run depends on its cause. `checkConnections` uses secrets
 * with the hosts that the project names, as only its author may.
 */
export const ROLE_OF: { readonly [O in Operation]: Role } = {
  runs: 'view',
  run: 'view',
  follow: 'view',
  syncs: 'view',
  past: 'view',
  sync: 'view',
  resources: 'view',
  destinations: 'view',
  figures: 'view',
  row: 'read',
  // What fires may quote the error of a row.
  alerts: 'read',
  // It uses secrets with the hosts that the project names.
  testAlert: 'edit',
  attempts: 'read',
  request: 'read',
  failed: 'read',
  replayable: 'read',
  preview: 'read',
  // Whom the tokens are for, and which syncs there are. It names no row.
  audit: 'view',
  health: 'view',
  publish: 'edit',
  resource: 'view',
  resourceHistory: 'view',
  diff: 'view',
  putResource: 'edit',
  deleteResource: 'edit',
  rollbackResource: 'edit',
  apply: 'edit',
  checkDocuments: 'edit',
  // A document may name any host and any query, and uses the secrets that may go there. `ALSO_WANTED` has
  // more.
  previewDocuments: 'edit',
  rows: 'edit',
  checkConnections: 'edit',
  askForRun: 'run',
  sendTest: 'run',
  cancel: 'run',
  approve: 'approve',
  reset: 'operate',
  // The login may go to the hosts that the destination names.
  logIn: 'operate',
  // Names and hosts, as those of `resources`, and no value.
  secrets: 'view',
  // Whom the operator lets in, and what each may do.
  tokens: 'secrets',
  setSecret: 'secrets',
  removeSecret: 'secrets',
  resealSecrets: 'secrets',
}

/** What answers with rows shows data of customers, whatever else it wants. */
export const ALSO_WANTED: { readonly [O in Operation]?: Role } = { previewDocuments: 'read', rows: 'read' }

const ROLE_OF_CAUSE: { readonly [C in RunCause]: Role } = {
  manual: 'run',
  schedule: 'run',
  retry: 'run',
  resync: 'operate',
  replay: 'operate',
  discard: 'operate',
  reset: 'operate',
}

/** The role that a run wants. */
export function roleOfRun({ cause = 'manual' }: Pick<RunRequest, 'cause'>): Role {
  return ROLE_OF_CAUSE[cause]
}

/** Throws `forbidden`, with what is missing, unless the role is among these. */
export function assertMay(roles: ReadonlySet<Role>, wanted: Role): void {
  if (roles.has(wanted)) return
  throw new SluiceError('forbidden', `You may not ${ROLES[wanted]}: that wants the role \`${wanted}\`.`)
}

/** A run as these roles may see it. Without `read`, it names no row, and no error that may quote one. */
export function shownTo(roles: ReadonlySet<Role>, view: RunView): RunView {
  if (roles.has('read')) return view
  const { invalidRows: _, errors: _quoting, held, error, ...counts } = view
  return {
    ...counts,
    error: error === null ? null : 'It failed. Why wants the role `read`.',
    ...(held === undefined ? {} : { held: { ...held, samples: [] } }),
  }
}

/** A test as these roles may see it. Without `read`, it says only what became of it. */
export function attemptShownTo(roles: ReadonlySet<Role>, view: AttemptView): AttemptView {
  if (roles.has('read')) return view
  return {
    ...view,
    ...{ keys: [], url: '', requestHeaders: {}, requestBody: null, responseHeaders: {}, responseBody: null },
    error: view.error === null ? null : 'It was not delivered. Why wants the role `read`.',
  }
}
