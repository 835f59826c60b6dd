/**
 * All that can be asked of Sluice: who may ask for it, and where a server takes it. Roles, routes, the
 * OpenAPI document, the client of SLUICE_URL, the forwarding in a folder and the queries of the pages are
 * made from this table. `operation-shapes.ts` has what each operation takes and answers. It stands apart,
 * since commands and pages need this table before they need a schema.
 */
import type { SessionView } from '../api.ts'

export type Role = SessionView['roles'][number]

export interface Operation {
  /**
   * `read` changes nothing, and `change` has changed something once it answers. `ask` asks for a run, or for
   * what becomes of one. `preview` renders requests as somebody takes them, and `follow` answers with each
   * state of a run. `serve` is about the server itself.
   */
  readonly does: 'read' | 'change' | 'ask' | 'preview' | 'follow' | 'serve'
  /** Null: everybody whom the server knows may ask. */
  readonly role: Role | null
  /** A second role that the caller needs. */
  readonly also?: Role
  /** True: also callers whom the server does not know may ask. */
  readonly isOpen?: true
  /** The operation whose route takes this one, too. */
  readonly within?: string
  /** True: the body as a whole is one field of the input, `document`. */
  readonly takesDocument?: true
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /**
   * Below `/api/v1`. `:name` stands for a parameter. All other input goes into the query of `GET` and
   * `DELETE`, and into the body of `POST` and `PUT`.
   */
  readonly path: string
}

const read = { does: 'read', method: 'GET' } as const
const ask = { does: 'ask', method: 'POST' } as const
const change = { does: 'change', method: 'POST' } as const
const serve = { does: 'serve', method: 'GET' } as const
const receive = { does: 'serve', role: null, isOpen: true } as const

/** By the names that clients have which are made from the OpenAPI document. */
export const OPERATIONS = {
  getSession: { ...serve, role: null, path: '/session' },
  logIn: { ...serve, role: null, isOpen: true, method: 'POST', path: '/session' },
  logOut: { ...serve, role: null, isOpen: true, method: 'DELETE', path: '/session' },

  listSyncs: { ...read, role: 'view', path: '/syncs' },
  getSync: { ...read, role: 'view', path: '/syncs/:name' },
  listFailedRows: { ...read, role: 'read', path: '/syncs/:name/failed' },
  listRuns: { ...read, role: 'view', path: '/runs' },
  getRow: { ...read, role: 'read', path: '/syncs/:name/rows' },
  getRunFigures: { ...read, role: 'view', path: '/runs/:id/figures' },
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
  /** A new destination begins the sync anew, and so wants the role of `reset`, too. */
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
  // A document may name any host and any query, and uses the secrets that may go there. The rows are data of
  // customers, as everywhere.
  previewDocuments: { does: 'preview', role: 'edit', also: 'read', method: 'POST', path: '/preview' },
  sampleRows: { ...read, role: 'edit', also: 'read', method: 'POST', path: '/sources/:name/rows' },

  replay: { ...ask, role: 'operate', path: '/syncs/:name/replay' },
  /** A replay with `dryRun`, which only shows what is recorded. */
  dryRunReplay: { ...read, role: 'read', method: 'POST', path: '/syncs/:name/replay', within: 'replay' },

  // Names and hosts, as those of `listResources`, and no value.
  listSecrets: { ...read, role: 'view', path: '/secrets' },
  setSecret: { ...change, role: 'secrets', method: 'PUT', path: '/secrets/:name' },
  removeSecret: { ...change, role: 'secrets', method: 'DELETE', path: '/secrets/:name' },
  resealSecrets: { ...change, role: 'secrets', path: '/vault/reseal' },

  // A firing alert may quote the error of a row.
  listAlerts: { ...read, role: 'read', path: '/alerts' },
  // It uses secrets with the hosts that the project names, as only its author may.
  testAlert: { ...change, role: 'edit', path: '/alerts/:name/test' },

  nextTimes: { ...serve, role: null, path: '/schedules/next' },
  checkCertificate: { ...serve, role: 'secrets', method: 'POST', path: '/certificates/check' },

  getSample: { ...serve, role: null, path: '/sample' },
  receiveAdded: { ...receive, takesDocument: true, method: 'POST', path: '/sample/receiver/customers' },
  receiveChanged: { ...receive, takesDocument: true, method: 'PUT', path: '/sample/receiver/customers/:id' },
  receiveRemoved: { ...receive, method: 'DELETE', path: '/sample/receiver/customers/:id' },

  getHealth: { ...read, role: 'view', path: '/health' },
  listDestinations: { ...read, role: 'view', path: '/destinations' },
  // Whom the tokens are for, and which syncs there are. It names no row.
  listAudit: { ...read, role: 'view', path: '/audit' },
  // Whom the operator lets in, and what each may do.
  listTokens: { ...serve, role: 'secrets', path: '/tokens' },

  // The login may go to the hosts that the destination names.
  beginLogin: { ...serve, role: 'operate', method: 'POST', path: '/destinations/:name/login' },
  finishLogin: { ...serve, role: 'operate', method: 'POST', path: '/logins/finish' },
} as const satisfies { readonly [name: string]: Operation }

type Operations = typeof OPERATIONS
export type OperationName = keyof Operations

type NamesOf<Does extends Operation['does']> = {
  [N in OperationName]: Operations[N]['does'] extends Does ? N : never
}[OperationName]
/** Operations that answer once, with one document. */
export type CallName = NamesOf<'read' | 'change'>
export type AskName = NamesOf<'ask'>
export type PreviewName = NamesOf<'preview'>
export type ServeName = NamesOf<'serve'>

export const OPERATION_NAMES: readonly OperationName[] = Object.keys(OPERATIONS).filter(isOperation)

function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name)
}

export const API_BASE = '/api/v1'

interface Asked {
  readonly method: Operation['method']
  /** With the query. */
  readonly url: string
  /** Undefined for a request without a body. */
  readonly body: unknown
}

/** The request that asks a server for the operation. Fields without a value stay out of the query. */
export function requestOf(name: OperationName, input: object): Asked {
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
