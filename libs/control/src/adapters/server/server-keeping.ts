/** The resources of a server. The server knows by the token who changes them. */
import { previewView, resourceView } from '@sluice/contracts/api'
import {
  changesView,
  documentsView,
  resourceHistoryView,
  resourceRemovedView,
  resourceSetView,
  rowsView,
} from '@sluice/contracts/api/resources'
import { MOST_PREVIEWED } from '@sluice/contracts/api-requests'
import type { ChangeTerms, ResourceKeeping, ResourceNamed, WrittenDocument } from '../../port.ts'
import { previewIn } from './previewed.ts'
import type { ServerClient } from './server-client.ts'

export function serverKeeping(client: ServerClient): ResourceKeeping {
  return {
    resource: (of, signal) => client.get(pathOf(of), {}, { signal, answer: resourceView }),
    putResource: ({ document, ...of }, terms, signal) =>
      client.put(pathOf(of), { ...bodyOf(document), ...termsOf(terms) }, { signal, answer: resourceSetView }),
    deleteResource: (of, { version, takeOver }, signal) =>
      client.delete(
        pathOf(of),
        { version, takeOver: takeOver === undefined ? undefined : String(takeOver) },
        {
          signal,
          answer: resourceRemovedView,
        },
      ),
    resourceHistory: (of, signal) =>
      client.get([...pathOf(of), 'history'], {}, { signal, answer: resourceHistoryView }),
    rollbackResource: ({ to, ...of }, terms, signal) => {
      const body = { ...(to === undefined ? {} : { to }), ...termsOf(terms) }
      return client.post([...pathOf(of), 'rollback'], body, { signal, answer: resourceSetView })
    },
    diff: (of, signal) => client.post(['diff'], of, { signal, answer: changesView }),
    apply: (of, _by, signal) => client.post(['apply'], of, { signal, answer: changesView }),
    checkDocuments: (documents, signal) =>
      client.post(['validate'], { documents: documents.map(bodyOf) }, { signal, answer: documentsView }),
    previewDocuments: async ({ op, documents, ...query }, signal) => {
      const asked = { ...query, trigger: op, documents: documents.map(bodyOf), limit: MOST_PREVIEWED }
      return previewIn(await client.post(['preview'], asked, { signal, answer: previewView }))
    },
    rows: ({ source, documents, ...query }, signal) => {
      const body = { ...query, documents: documents.map(bodyOf) }
      return client.post(['sources', source, 'rows'], body, { signal, answer: rowsView })
    },
  }
}

function pathOf({ kind, name }: ResourceNamed): readonly string[] {
  return ['resources', kind, name]
}

function bodyOf(document: WrittenDocument): object {
  const file = document.file === undefined ? {} : { file: document.file }
  if ('yaml' in document) return { yaml: document.yaml, ...file }
  const { kind, name, ...spec } = document.fields
  return { ...(kind === undefined ? {} : { kind }), ...(name === undefined ? {} : { name }), spec, ...file }
}

function termsOf({ version, takeOver }: ChangeTerms): object {
  return { ...(version === undefined ? {} : { version }), ...(takeOver === undefined ? {} : { takeOver }) }
}
