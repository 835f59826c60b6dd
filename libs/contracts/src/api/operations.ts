/**
 * The table of all operations: the role that each wants, and its method and path on a server. Roles, routes,
 * the OpenAPI document, the client of SLUICE_URL, the forwarding in a folder and the queries of the pages are
 * made from this table. The inputs and answers are in a file of their own, `operation-shapes.ts`, since
 * commands and pages need this table before they load a schema.
 */
import type { SessionView } from '../api.ts'

export type Role = SessionView['roles'][number]

/** The longest path that a cookie keeps while somebody signs in, in UTF-16 units. */
export const MAX_SIGN_IN_PATH = 1_000

export interface Operation {
  /**
   * `read` changes nothing. `change` has made its change once it answers. `ask` writes a command to a sync
   * and answers with the run. `preview` renders requests while its caller reads them, and `follow` answers
   * with each state of a run. `serve` is about the server itself.
   */
  readonly does: 'read' | 'change' | 'ask' | 'preview' | 'follow' | 'serve'
  /** Null if every caller that the server knows may ask. */
  readonly role: Role | null
  /** A second role that the caller needs. */
  readonly also?: Role
  /** Set if unknown callers may ask, too. */
  readonly isOpen?: true
  /** The operation whose route also serves this one. */
  readonly within?: string
  /** Set if the whole body is one field of the input, `document`. */
  readonly takesDocument?: true
  /** Set if the answer is a file, written while the caller reads it. */
  readonly isFile?: true
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /**
   * The path below `/api/v1`. `:name` stands for a parameter. All other input goes into the query of `GET`
   * and `DELETE`, and into the body of `POST` and `PUT`.
   */
  readonly path: string
}

const read = { does: 'read', method: 'GET' } as const
const ask = { does: 'ask', method: 'POST' } as const
const change = { does: 'change', method: 'POST' } as const
const serve = { does: 'serve', method: 'GET' } as const
const receive = { does: 'serve', role: null, isOpen: true } as const

/** The operations by their ids in the OpenAPI document. */
export const OPERATIONS = {
  getSession: { ...serve, role: null, path: '/session' },
  logIn: { ...serve, role: null, isOpen: true, method: 'POST', path: '/session' },
  logOut: { ...serve, role: null, isOpen: true, method: 'DELETE', path: '/session' },
  getSignIn: { ...serve, role: null, isOpen: true, path: '/sign-in' },
  beginSignIn: { ...serve, role: null, isOpen: true, method: 'POST', path: '/sign-in' },
  finishSignIn: { ...serve, role: null, isOpen: true, method: 'POST', path: '/sign-in/finish' },

  listSyncs: { ...read, role: 'view', path: '/syncs' },
  getSync: { ...read, role: 'view', path: '/syncs/:name' },
  listFailedRows: { ...read, role: 'read', path: '/syncs/:name/failed' },
  exportFailedRows: { ...serve, role: 'read', path: '/syncs/:name/failed/export', isFile: true },
  listRuns: { ...read, role: 'view', path: '/runs' },
  getRow: { ...read, role: 'read', path: '/syncs/:name/rows' },
  getRunFigures: { ...read, role: 'view', path: '/runs/:id/figures' },
  // The answer quotes errors of rows.
  getRunAnswers: { ...read, role: 'read', path: '/runs/:id/answers' },
  getRun: { ...read, role: 'view', path: '/runs/:id' },
  followRun: { does: 'follow', role: 'view', method: 'GET', path: '/runs/:id/events' },
  listAttempts: { ...read, role: 'read', path: '/attempts' },
  getRequest: { ...read, role: 'read', path: '/attempts/:requestId' },
  preview: { does: 'preview', role: 'read', method: 'GET', path: '/preview' },
  listResources: { ...read, role: 'view', path: '/resources' },

  run: { ...ask, role: 'run', path: '/syncs/:name/runs' },
  retry: { ...ask, role: 'run', path: '/syncs/:name/retry' },
  resync: { ...ask, role: 'operate', path: '/syncs/:name/resync' },
  discard: { ...ask, role: 'operate', path: '/syncs/:name/discard' },
  reset: { ...ask, role: 'operate', path: '/syncs/:name/reset' },
  sendTest: { ...change, role: 'run', path: '/syncs/:name/test' },
  /** The approval of a new destination resets the sync, so it also wants the role of `reset`. */
  approve: { ...ask, role: 'approve', path: '/runs/:id/approve' },
  cancel: { ...ask, role: 'run', path: '/runs/:id/cancel' },

  getResource: { ...read, role: 'view', path: '/resources/:kind/:name' },
  putResource: {
    ...change,
    ...{ role: 'edit', method: 'PUT', path: '/resources/:kind/:name', takesDocument: true },
  },
  removeResource: { ...change, role: 'edit', method: 'DELETE', path: '/resources/:kind/:name' },
  getResourceHistory: { ...read, role: 'view', path: '/resources/:kind/:name/history' },
  rollbackResource: { ...change, role: 'edit', path: '/resources/:kind/:name/rollback' },
  diffResources: { ...read, role: 'view', method: 'POST', path: '/diff' },
  applyResources: { ...change, role: 'edit', path: '/apply' },
  validateDocuments: { ...read, role: 'edit', method: 'POST', path: '/validate' },
  // A document may name any host and any query, and use the secrets that may go there. So its author needs
  // `edit`, and needs `read` to see rows.
  previewDocuments: { does: 'preview', role: 'edit', also: 'read', method: 'POST', path: '/preview' },
  // It sends what a document says, with the secrets that may go there.
  sendTestOfDocuments: { ...change, role: 'edit', also: 'run', path: '/test' },
  sampleRows: { ...read, role: 'edit', also: 'read', method: 'POST', path: '/sources/:name/rows' },

  replay: { ...ask, role: 'operate', path: '/syncs/:name/replay' },
  /** A replay with `dryRun` only shows recorded requests. */
  dryRunReplay: { ...read, role: 'read', method: 'POST', path: '/syncs/:name/replay', within: 'replay' },

  // The answer has names and hosts, which `listResources` shows as well, and no value.
  listSecrets: { ...read, role: 'view', path: '/secrets' },
  setSecret: { ...change, role: 'secrets', method: 'PUT', path: '/secrets/:name' },
  removeSecret: { ...change, role: 'secrets', method: 'DELETE', path: '/secrets/:name' },
  resealSecrets: { ...change, role: 'secrets', path: '/vault/reseal' },

  // A firing alert may quote the error of a row, so `view` does not suffice.
  listAlerts: { ...read, role: 'read', path: '/alerts' },
  // It sends secrets to the hosts that the project names, which only its author may decide.
  testAlert: { ...change, role: 'edit', path: '/alerts/:name/test' },

  nextTimes: { ...serve, role: null, path: '/schedules/next' },
  checkCertificate: { ...serve, role: 'secrets', method: 'POST', path: '/certificates/check' },

  getSample: { ...serve, role: null, path: '/sample' },
  receiveAdded: { ...receive, takesDocument: true, method: 'POST', path: '/sample/receiver/customers' },
  receiveChanged: { ...receive, takesDocument: true, method: 'PUT', path: '/sample/receiver/customers/:id' },
  receiveRemoved: { ...receive, method: 'DELETE', path: '/sample/receiver/customers/:id' },

  getHealth: { ...read, role: 'view', path: '/health' },
  listDestinations: { ...read, role: 'view', path: '/destinations' },
  // The answer names tokens, users and syncs, and no row.
  listAudit: { ...read, role: 'view', path: '/audit' },
  // The answer shows whom the operator lets in, and what each may do.
  listTokens: { ...serve, role: 'secrets', path: '/tokens' },
  makeToken: { ...serve, role: 'secrets', method: 'POST', path: '/tokens/:name' },
  revokeToken: { ...serve, role: 'secrets', method: 'DELETE', path: '/tokens/:name' },

  // The login may go to the hosts that the destination names.
  beginLogin: { ...serve, role: 'operate', method: 'POST', path: '/destinations/:name/login' },
  finishLogin: { ...serve, role: 'operate', method: 'POST', path: '/logins/finish' },
} as const satisfies { readonly [name: string]: Operation }

type Operations = typeof OPERATIONS
export type OperationName = keyof Operations

type NamesOf<Does extends Operation['does']> = {
  [N in OperationName]: Operations[N]['does'] extends Does ? N : never
}[OperationName]
/** The operations that answer once, with one document. */
export type CallName = NamesOf<'read' | 'change'>
export type AskName = NamesOf<'ask'>
export type PreviewName = NamesOf<'preview'>
export type ServeName = NamesOf<'serve'>

export const OPERATION_NAMES: readonly OperationName[] = Object.keys(OPERATIONS).filter(isOperation)

function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name)
}

export const API_BASE = '/api/v1'

interface OperationRequest {
  readonly method: Operation['method']
  /** Path and query. */
  readonly url: string
  /** Undefined if the request has no body. */
  readonly body: unknown
}

/** The request that asks a server for the operation. Fields without a value stay out of the query. */
export function requestOf(name: OperationName, input: object): OperationRequest {
  const { method, path, takesDocument }: Operation = OPERATIONS[name]
  const fields = new Map<string, unknown>(Object.entries(input))
  const filled = path.replaceAll(/:(\w+)/g, (_, field: string) => {
    const value = fields.get(field)
    fields.delete(field)
    return encodeURIComponent(String(value))
  })
  const url = `${API_BASE}${filled}`
  if (method === 'POST' || method === 'PUT') {
    const body = takesDocument === true ? fields.get('document') : Object.fromEntries(fields)
    return { method, url, body }
  }
  const search = new URLSearchParams()
  for (const [field, value] of fields)
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      search.set(field, String(value))
  return { method, url: search.size === 0 ? url : `${url}?${search.toString()}`, body: undefined }
}

/** The sync of the sample project. Pages also need this name before they load a schema. */
export const SAMPLE_SYNC = 'sample-customers'
