/**
 * The roles that a route wants before it reads a body. Control asks again with what the body says. So a body
 * of somebody who may not ask is never read, however large or slow it is.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { RunCause } from '@sluice/contracts/records'
import { ALSO_WANTED, assertMay, ROLE_OF, roleOfRun, type Operation, type Role } from '@sluice/control/roles'
import type { Route } from '../api/route.ts'

/** By the id of the route. */
const OPERATIONS: { readonly [id: string]: Operation } = {
  reset: 'reset',
  sendTest: 'sendTest',
  approve: 'approve',
  cancel: 'cancel',
  putResource: 'putResource',
  removeResource: 'deleteResource',
  rollbackResource: 'rollbackResource',
  diffResources: 'diff',
  applyResources: 'apply',
  validateDocuments: 'checkDocuments',
  previewDocuments: 'previewDocuments',
  sampleRows: 'rows',
  setSecret: 'setSecret',
  checkCertificate: 'setSecret',
  removeSecret: 'removeSecret',
  resealSecrets: 'resealSecrets',
  testAlert: 'testAlert',
  beginLogin: 'logIn',
  finishLogin: 'logIn',
}

/** Of routes that ask for a run. */
const CAUSES: { readonly [id: string]: RunCause } = {
  run: 'manual',
  retry: 'retry',
  resync: 'resync',
  discard: 'discard',
  replay: 'replay',
}

/** The sets of roles of which somebody needs one whole. Throws `internal` for a route that is not listed. */
function wantedBy({ id }: Pick<Route, 'id'>): readonly (readonly Role[])[] {
  const operation = OPERATIONS[id]
  if (operation !== undefined) return [rolesOf(operation)]
  const cause = CAUSES[id]
  if (cause === undefined) throw new SluiceError('internal', `nobody says who may use the route ${id}`)
  const run = [roleOfRun({ cause })]
  // A dry run only shows what is recorded.
  return cause === 'replay' ? [run, rolesOf('replayable')] : [run]
}

function rolesOf(operation: Operation): readonly Role[] {
  const also = ALSO_WANTED[operation]
  return also === undefined ? [ROLE_OF[operation]] : [ROLE_OF[operation], also]
}

/** Throws `forbidden`, with what is missing, unless the roles are enough for the route. */
export function assertMayUse(route: Pick<Route, 'id' | 'scope'>, roles: ReadonlySet<Role>): void {
  if (route.scope !== 'write') return
  const wanted = wantedBy(route)
  if (wanted.some(set => set.every(role => roles.has(role)))) return
  for (const role of wanted[0] ?? []) assertMay(roles, role)
}
