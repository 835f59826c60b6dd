/**
 * The routes of the API, made from the table of operations. Most call control and nothing else. Some do more
 * (`OWN`), and a server answers some by itself (`served.ts`).
 */
import type { PreviewView } from '@sluice/contracts/api'
import { SHAPES, type InputOf, type Shape } from '@sluice/contracts/api/operation-shapes'
import {
  API_BASE,
  OPERATION_NAMES,
  OPERATIONS,
  type AskName,
  type CallName,
  type Operation,
  type OperationName,
  type PreviewName,
  type Role,
  type ServeName,
} from '@sluice/contracts/api/operations'
import { SluiceError, VersionConflict } from '@sluice/contracts/errors'
import type { Preview, PreviewInput } from '@sluice/control/port'
import { assertMayAsk } from '@sluice/control/roles'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { z } from 'zod'
import { document, type Answer, type Limits, type RawInput, type Route, type RouteContext } from './route.ts'
import { runEvents } from './run-events.ts'
import { SERVED } from './served.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const KB = 1_024

/** A search without an index reads whole topics. */
const SEARCHES = { timeoutMs: 5 * MINUTE_MS }
/** A preview reads the whole model, and takes a share of the memory. */
const PREVIEWS = { timeoutMs: MINUTE_MS, atOnce: 4, atOncePerCaller: 2 }
/** A document keeps a thread busy for some time. */
const DOCUMENTS = { bodyBytes: 2_200_000, atOnce: 8 }
const PROJECTS = { bodyBytes: 24_000_000, atOnce: 8, atOncePerCaller: 2 }
/** These operations ask Kafka, the registry and Redis, or read a whole topic. */
const LOOKS = { atOnce: 4 }
const RECEIVES = { atOnce: 20 }

/** The operations that have other limits than most. */
const LIMITS: { readonly [Name in OperationName]?: Limits } = {
  logIn: { bodyBytes: 4 * KB },
  beginSignIn: { bodyBytes: 4 * KB, atOnce: 20 },
  finishSignIn: { bodyBytes: 20 * KB, atOnce: 20 },
  getRow: SEARCHES,
  getRunAnswers: { ...SEARCHES, ...LOOKS },
  getRunFigures: SEARCHES,
  listAttempts: SEARCHES,
  getRequest: SEARCHES,
  // Callers who may only read may ask for dry runs.
  replay: { ...SEARCHES, atOnce: 20, atOncePerCaller: 4 },
  exportFailedRows: { timeoutMs: 60 * MINUTE_MS, atOnce: 8, atOncePerCaller: 2 },
  // Each stream keeps a connection.
  followRun: { atOnce: 200, atOncePerCaller: 100 },
  preview: PREVIEWS,
  sendTest: PREVIEWS,
  sendTestOfDocuments: { ...DOCUMENTS, ...PREVIEWS },
  previewDocuments: { ...DOCUMENTS, ...PREVIEWS, atOnce: 8 },
  putResource: DOCUMENTS,
  removeResource: { atOnce: 8 },
  rollbackResource: { atOnce: 8 },
  diffResources: PROJECTS,
  applyResources: PROJECTS,
  validateDocuments: { ...DOCUMENTS, atOncePerCaller: 2 },
  sampleRows: { ...DOCUMENTS, timeoutMs: 30 * SECOND_MS, atOnce: 4 },
  // JSON writes each line break, quote and backslash of a value as two characters.
  setSecret: { bodyBytes: 2 * FILE_CEILING_BYTES + 64 * KB, atOnce: 4 },
  // A body holds up to two files.
  checkCertificate: { bodyBytes: 4 * FILE_CEILING_BYTES + 64 * KB, atOnce: 4 },
  // A vault may have thousands of secrets. The next call goes on with those that were not reached.
  resealSecrets: { timeoutMs: 10 * MINUTE_MS },
  testAlert: { atOnce: 4 },
  getHealth: LOOKS,
  listAudit: LOOKS,
  listTokens: LOOKS,
  makeToken: { bodyBytes: 4 * KB, atOnce: 4 },
  revokeToken: { atOnce: 4 },
  receiveAdded: RECEIVES,
  receiveChanged: RECEIVES,
  receiveRemoved: RECEIVES,
  beginLogin: { atOnce: 8 },
  finishLogin: { atOnce: 8 },
}

const nothing = z.strictObject({})
const DEFAULT_PREVIEWED = 100
/** A preview's answer ends with the request that exceeds this many characters. */
const MAX_PREVIEW_CHARACTERS = 8 * 1024 * 1024
/** Refused runs may be newer than the queued one. */
const LATEST_RUNS = 20

type Handling<Name extends OperationName> = (
  input: InputOf<Name>,
  context: RouteContext,
  /** The header `Last-Event-ID`. */
  lastEventId: string | undefined,
) => Promise<Answer>

/** The operations for which a server does more than calling control. */
const OWN: { readonly [Name in CallName | AskName]?: Handling<Name> } = {
  run: async (input, context) => {
    if (input.queues === false) await assertFree(input.name, context)
    return await askFor('run', input, context)
  },
  replay: async ({ dryRun = false, ...input }, context) =>
    dryRun
      ? await callFor('dryRunReplay', { ...input, dryRun }, context)
      : await askFor('replay', input, context),
  putResource: (input, context) =>
    changed(context, version => {
      const given = typeof input.document === 'string' ? { yaml: input.document } : input.document
      const document = version === undefined ? given : { ...given, version }
      return callFor('putResource', { ...input, document }, context)
    }),
  removeResource: (input, context) =>
    changed(context, (version = input.version) => callFor('removeResource', { ...input, version }, context)),
  rollbackResource: (input, context) =>
    changed(context, (version = input.version) =>
      callFor('rollbackResource', { ...input, version }, context),
    ),
}

/** The routes of all operations, except operations that are served `within` the route of another one. */
export const ROUTES: readonly Route[] = OPERATION_NAMES.flatMap(name =>
  withinOf(name) === undefined ? [routeOf(name)] : [],
)

/** Throws `forbidden`, with the missing role, unless the roles allow an operation that the route serves. */
export function assertMayUse({ id }: Pick<Route, 'id'>, roles: ReadonlySet<Role>): void {
  const isEnough = OPERATION_NAMES.some(name => withinOf(name) === id && mayAsk(roles, name))
  if (!isEnough) assertMayAsk(roles, id)
}

function routeOf(name: OperationName): Route {
  if (isServe(name)) return servedRoute(name)
  if (isAsk(name)) return askRoute(name)
  switch (name) {
    case 'followRun':
      return madeRoute(name, async ({ id }, { control, signal }, lastEventId) => ({
        kind: 'events',
        events: await runEvents(control.follow(id, signal), { lastEventId, signal }),
      }))
    case 'preview':
      return madeRoute(name, ({ limit, ...input }, context) => previewFor(name, input, limit, context))
    case 'previewDocuments':
      return madeRoute(name, ({ limit, ...input }, context) => previewFor(name, input, limit, context))
    default:
      return callRoute(name)
  }
}

function isServe(name: OperationName): name is ServeName {
  return OPERATIONS[name].does === 'serve'
}

function isAsk(name: OperationName): name is AskName {
  return OPERATIONS[name].does === 'ask'
}

function servedRoute<Name extends ServeName>(name: Name): Route {
  return madeRoute(name, SERVED[name])
}

function callRoute<Name extends CallName>(name: Name): Route {
  return madeRoute(name, OWN[name] ?? ((input, context) => callFor(name, input, context)))
}

function askRoute<Name extends AskName>(name: Name): Route {
  return madeRoute(name, OWN[name] ?? ((input, context) => askFor(name, input, context)))
}

async function previewFor<Name extends PreviewName>(
  name: Name,
  input: PreviewInput<Name> & { readonly sync: string },
  limit: number | undefined,
  { control, signal }: RouteContext,
): Promise<Answer> {
  await using preview = await control.preview(name, input, { signal })
  return document(await previewed(preview, { sync: input.sync, limit: limit ?? DEFAULT_PREVIEWED }))
}

async function previewed(
  preview: Preview,
  { sync, limit }: { readonly sync: string; readonly limit: number },
): Promise<PreviewView> {
  const { counts, rowsRead, rowsInvalid, invalidRows, notices } = preview
  const requests: PreviewView['requests'] = []
  const rejected: NonNullable<PreviewView['rejected']> = []
  let characters = 0
  let more = false
  for await (const { kind, ...item } of preview.requests) {
    more = requests.length + rejected.length >= limit || characters > MAX_PREVIEW_CHARACTERS
    if (more) break
    if ('error' in item) rejected.push(item)
    else requests.push(item)
    characters += JSON.stringify(item).length
  }
  return {
    ...{ sync, counts: { ...counts }, rowsRead, rowsInvalid, requests },
    ...(rejected.length === 0 ? {} : { rejected }),
    ...(isSample([...requests, ...rejected]) ? { sample: true as const } : {}),
    ...(invalidRows.length === 0 ? {} : { invalidRows: [...invalidRows] }),
    ...(notices.length === 0 ? {} : { notices: [...notices] }),
    ...(more ? { more } : {}),
  }
}

/** True if all requests are examples, made of rows that have not changed. */
function isSample(shown: readonly { readonly sample?: true | undefined }[]): boolean {
  return shown.length > 0 && shown.every(({ sample }) => sample === true)
}

async function callFor<Name extends CallName>(
  name: Name,
  input: InputOf<Name>,
  { control, signal }: RouteContext,
): Promise<Answer> {
  return document(await control.call(name, input, { signal }))
}

async function askFor<Name extends AskName>(
  name: Name,
  input: InputOf<Name>,
  { control, asked }: RouteContext,
): Promise<Answer> {
  const view = await asked.ask(following => control.ask(name, input, following))
  return { ...document(view), location: `${API_BASE}/runs/${encodeURIComponent(view.id)}` }
}

/** Throws `conflict` if a run of the sync is queued or running. */
async function assertFree(sync: string, { control, signal }: RouteContext): Promise<void> {
  const { runs } = await control.call('listRuns', { sync, limit: LATEST_RUNS }, { signal })
  const open = runs.find(({ status }) => status === 'running' || status === 'queued')
  if (open === undefined) return
  throw new SluiceError(
    'conflict',
    `Run ${open.id} of \`${sync}\` is ${open.status}: \`sluice run ${sync} --wait\` waits for it and then runs again.`,
  )
}

/** Changes one resource. A client that sent `If-Match` gets a conflict as a failed precondition. */
async function changed(
  { ifMatch }: RouteContext,
  change: (version: number | undefined) => Promise<Answer>,
): Promise<Answer> {
  const expected = ifMatch === undefined ? undefined : versionIn(ifMatch)
  try {
    return await change(expected)
  } catch (error) {
    if (!(error instanceof VersionConflict) || expected === undefined) throw error
    const { message, versions, details } = error
    throw new VersionConflict(message, { versions, details, isPrecondition: true })
  }
}

/** The version in `If-Match`. Undefined for `*`, which matches any version. */
function versionIn(ifMatch: string): number | undefined {
  if (ifMatch.trim() === '*') return undefined
  const [, version] = /^\s*"(\d{1,15})"\s*$/.exec(ifMatch) ?? []
  if (version !== undefined) return Number(version)
  throw new SluiceError(
    'usage',
    `\`If-Match\` wants the ETag of a resource, such as "3", or *, found ${ifMatch}`,
  )
}

/** Makes the route of an operation, with a schema each for path, query and body. */
function madeRoute<Name extends OperationName>(name: Name, handle: Handling<Name>): Route {
  const operation: Operation = OPERATIONS[name]
  const shape: Shape = SHAPES[name]
  const { does, isOpen = false, isFile = false, method, path, takesDocument } = operation
  const { params = nothing, query = nothing, summary, answer } = shape
  const body = method === 'POST' || method === 'PUT' ? (shape.document ?? shape.body ?? nothing) : null
  const inputOf = (raw: RawInput): InputOf<Name> => {
    const parts = { ...checked(params, raw.params, 'path'), ...checked(query, raw.query, 'query') }
    const read = body === null ? {} : checked(body, raw.body === undefined ? {} : raw.body, 'body')
    const input = takesDocument === true ? { ...parts, document: read } : Object.assign(parts, read)
    if (isInput(name, input)) return input
    throw new SluiceError('internal', `the input of ${name} is no object`)
  }
  return {
    ...{ id: name, method, path, summary, params, query, body, answer, ...LIMITS[name] },
    scope: isOpen ? 'anyone' : method === 'GET' ? 'read' : 'write',
    status: does === 'ask' ? 202 : 200,
    streams: does === 'follow',
    isFile,
    handle: async (raw, context) => await handle(inputOf(raw), context, raw.lastEventId),
  }
}

/** The parts of the input have been checked by the schemas that its type is made from. */
function isInput<Name extends OperationName>(_name: Name, input: unknown): input is InputOf<Name> {
  return typeof input === 'object' && input !== null
}

function checked<T>(schema: z.ZodType<T>, value: unknown, where: 'path' | 'query' | 'body'): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map(({ path, message }) => {
    const field = path.map(String).join('.')
    return field === '' ? { message } : { field, message }
  })
  const found = details.map(({ field, message }) =>
    field === undefined ? message : `\`${field}\`: ${message}`,
  )
  throw new SluiceError('usage', `The ${where} of the request is not right: ${found.join('; ')}`, { details })
}

function withinOf(name: OperationName): string | undefined {
  const { within }: Operation = OPERATIONS[name]
  return within
}

function mayAsk(roles: ReadonlySet<Role>, name: OperationName): boolean {
  const { role, also }: Operation = OPERATIONS[name]
  return [role, also ?? null].every(wanted => wanted === null || roles.has(wanted))
}
