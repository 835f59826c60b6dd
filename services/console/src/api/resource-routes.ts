/** The routes of resources: what is stored, what it was, and documents that are not stored yet. */
import { previewView, resourceView } from '@sluice/contracts/api'
import {
  changesView,
  documentsView,
  resourceHistoryView,
  resourceRemovedView,
  resourceSetView,
  rowsView,
} from '@sluice/contracts/api/resources'
import {
  applyBody,
  documentsBody,
  previewBody,
  resourceBody,
  resourceRemoveQuery,
  resourceWriteQuery,
  rollbackBody,
  rowsBody,
} from '@sluice/contracts/api/resource-requests'
import { noBody, noQuery, resourcePath, syncPath } from '@sluice/contracts/api-requests'
import { isSluiceError, SluiceError, VersionConflict } from '@sluice/contracts/errors'
import type { ChangeTerms, WrittenDocument } from '@sluice/control/port'
import { z } from 'zod'
import { PREVIEW, previewed } from './previewed.ts'
import { route, type Answer, type Route, type RouteContext } from './route.ts'

const noPath = z.strictObject({})
const MOST_DOCUMENT_BYTES = 2_200_000
const MOST_BYTES = 24_000_000
const PREVIEWED = 100
const SHOWN_ROWS = 20

const document = (value: unknown): Answer => ({ kind: 'document', value })
const versioned = (value: object): Answer => ({
  ...{ kind: 'document', value },
  ...('version' in value && typeof value.version === 'number' ? { etag: `"${value.version}"` } : {}),
})

const reads = { method: 'GET', scope: 'read', status: 200, body: noBody } as const
const writes = { scope: 'write', status: 200, atOnce: 8 } as const
/** Each takes a thread for some time. */
const DOCUMENTS = { atOncePerCaller: 2 }
const asks = { ...writes, method: 'POST', params: noPath, query: noQuery } as const

export const RESOURCE_ROUTES: readonly Route[] = [
  route({
    ...{ ...reads, path: '/resources/:kind/:name', id: 'getResource', summary: 'One resource' },
    ...{ params: resourcePath, query: noQuery, answer: resourceView },
    respond: async ({ params }, { control, signal }) => {
      try {
        return versioned(await control.keeping.resource(params, signal))
      } catch (error) {
        if (!isSluiceError(error, 'not-found')) throw error
        // It may stand in the files of a folder that nothing was stored of.
        const { resources } = await control.resources({ limit: Infinity, after: undefined }, signal)
        const found = resources.find(({ kind, name }) => kind === params.kind && name === params.name)
        if (found === undefined) throw error
        return versioned(found)
      }
    },
  }),
  route({
    ...{ ...writes, method: 'PUT', path: '/resources/:kind/:name', id: 'putResource' },
    ...{ summary: 'Write a resource, as JSON or as YAML', bodyBytes: MOST_DOCUMENT_BYTES },
    ...{ params: resourcePath, query: resourceWriteQuery, body: resourceBody, answer: resourceSetView },
    respond: async ({ params, query, body }, context) => {
      const { version, takeOver = query.takeOver === 'true' } = typeof body === 'string' ? {} : body
      const written = { ...params, document: documentOf(body) }
      return await changed(context, { version, takeOver }, terms =>
        context.control.keeping.putResource(written, terms, context.signal),
      )
    },
  }),
  route({
    ...{ ...writes, method: 'DELETE', path: '/resources/:kind/:name', id: 'removeResource' },
    summary:
      'Remove a resource that no other uses. A sync goes with its topics and all that is known of its rows',
    ...{ params: resourcePath, query: resourceRemoveQuery, body: noBody, answer: resourceRemovedView },
    respond: async ({ params, query }, context) => {
      const terms = { version: query.version, takeOver: query.takeOver === 'true' }
      return await changed(context, terms, of =>
        context.control.keeping.deleteResource(params, of, context.signal),
      )
    },
  }),
  route({
    ...{ ...reads, path: '/resources/:kind/:name/history', id: 'getResourceHistory' },
    summary: 'The versions of a resource, the newest first: who changed what and when',
    ...{ params: resourcePath, query: noQuery, answer: resourceHistoryView },
    respond: async ({ params }, { control, signal }) =>
      document(await control.keeping.resourceHistory(params, signal)),
  }),
  route({
    ...{ ...writes, method: 'POST', path: '/resources/:kind/:name/rollback', id: 'rollbackResource' },
    summary: 'Make a resource what it was in an earlier version',
    ...{ params: resourcePath, query: noQuery, body: rollbackBody, answer: resourceSetView },
    respond: async ({ params, body: { to, version, takeOver } }, context) =>
      await changed(context, { version, takeOver }, terms =>
        context.control.keeping.rollbackResource({ ...params, to }, terms, context.signal),
      ),
  }),
  route({
    ...{ ...asks, ...DOCUMENTS, path: '/diff', id: 'diffResources', bodyBytes: MOST_BYTES },
    ...{
      summary: 'What applying the resources of a project would change',
      body: applyBody,
      answer: changesView,
    },
    respond: async ({ body }, { control, signal }) =>
      document(await control.keeping.diff(projectOf(body), signal)),
  }),
  route({
    ...{ ...asks, ...DOCUMENTS, path: '/apply', id: 'applyResources', bodyBytes: MOST_BYTES },
    ...{ summary: 'Apply the resources of a project, all or none', body: applyBody, answer: changesView },
    respond: async ({ body }, { control, signal, principal }) =>
      document(await control.keeping.apply(projectOf(body), principal.name, signal)),
  }),
  route({
    ...{ ...asks, ...DOCUMENTS, path: '/validate', id: 'validateDocuments' },
    bodyBytes: MOST_DOCUMENT_BYTES,
    summary: 'Check documents that need not be stored, together with what is stored',
    ...{ body: documentsBody, answer: documentsView },
    respond: async ({ body }, { control, signal }) =>
      document(await control.keeping.checkDocuments(body.documents.map(documentOf), signal)),
  }),
  route({
    ...{ ...asks, ...PREVIEW, path: '/preview', id: 'previewDocuments', bodyBytes: MOST_DOCUMENT_BYTES },
    ...{ atOnce: 8, summary: 'What the next run of a sync would send, with documents that are not stored' },
    ...{ body: previewBody, answer: previewView },
    respond: async ({ body }, { control, signal }) => {
      const { sync, trigger: op, key, rows, limit = PREVIEWED, sample = false, documents = [] } = body
      const query = { sync, op, key, rows, sample, documents: documents.map(documentOf) }
      await using preview = await control.keeping.previewDocuments(query, signal)
      return document(await previewed(preview, { sync, limit }))
    },
  }),
  route({
    ...{ ...asks, path: '/sources/:name/rows', id: 'sampleRows', bodyBytes: MOST_DOCUMENT_BYTES },
    ...{ summary: 'Some rows of a query, with their columns', timeoutMs: 30_000, atOnce: 4 },
    ...{ params: syncPath, body: rowsBody, answer: rowsView },
    respond: async ({ params, body }, { control, signal }) => {
      const { sql, table, limit = SHOWN_ROWS, documents = [] } = body
      const query = { source: params.name, sql, table, limit, documents: documents.map(documentOf) }
      return document(await control.keeping.rows(query, signal))
    },
  }),
]

/** Carries out a change of one resource, and tells a client that sent `If-Match` in its own words. */
async function changed(
  { principal, ifMatch }: RouteContext,
  of: { readonly version?: number | undefined; readonly takeOver?: boolean | undefined },
  change: (terms: ChangeTerms) => Promise<object>,
): Promise<Answer> {
  const expected = ifMatch === undefined ? undefined : versionIn(ifMatch)
  try {
    return versioned(
      await change({ by: principal.name, version: expected ?? of.version, takeOver: of.takeOver }),
    )
  } catch (error) {
    if (!(error instanceof VersionConflict) || expected === undefined) throw error
    const { message, versions, details } = error
    throw new VersionConflict(message, { versions, details, isPrecondition: true })
  }
}

/** Undefined for `*`, which is whatever is there. */
function versionIn(ifMatch: string): number | undefined {
  if (ifMatch.trim() === '*') return undefined
  const [, version] = /^\s*"(\d{1,15})"\s*$/.exec(ifMatch) ?? []
  if (version !== undefined) return Number(version)
  throw new SluiceError(
    'usage',
    `\`If-Match\` wants the ETag of a resource, such as "3", or *, found ${ifMatch}`,
  )
}

type Written = string | { readonly [name: string]: unknown }

/** YAML, or the fields of a resource: in `spec`, or beside the kind and the name. */
function documentOf(body: Written): WrittenDocument {
  if (typeof body === 'string') return { yaml: body }
  const { yaml, spec, file, version: _version, takeOver: _takeOver, ...fields } = body
  const from = typeof file === 'string' ? { file } : {}
  if (typeof yaml === 'string') return { yaml, ...from }
  if (!isFields(spec)) return { fields, ...from }
  const { kind, name } = fields
  return {
    fields: { ...(kind === undefined ? {} : { kind }), ...(name === undefined ? {} : { name }), ...spec },
    ...from,
  }
}

function isFields(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function projectOf({ prune = false, takeOver = false, ...of }: z.output<typeof applyBody>) {
  return { ...of, prune, takeOver }
}
