/** Changes the resources in the log as people ask, and shows them. */
import type { ResourceView } from '@sluice/contracts/api'
import type {
  ChangesView,
  DocumentsView,
  ResourceHistoryView,
  ResourceRemovedView,
  ResourceSetView,
  RowsView,
} from '@sluice/contracts/api/resources'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, ResourceSpec } from '@sluice/contracts/resources'
import { isEnded } from '@sluice/domain/run-status'
import { assertRight } from '@sluice/project/check-documents'
import { changeResources, isSameSpec, type ResourceChange } from '@sluice/resources/change-resources'
import {
  deletionKey,
  pastKey,
  readStored,
  versionOf,
  type StoredResources,
} from '@sluice/resources/stored-resources'
import type { Catalog } from '../catalog.ts'
import { caughtUpWithRuns } from '../runs/find-run.ts'
import { vaultOf, type Pipeline } from '../pipeline.ts'
import type {
  ChangeTerms,
  Preview,
  ProjectResources,
  ResourceNamed,
  RowsQuery,
  SampleQuery,
  WrittenDocument,
} from '../port.ts'
import type { Checked } from './apart/document-work.ts'
import { historyOf } from './resource-history.ts'
import {
  assertOwn,
  assertUnused,
  assertVersion,
  differences,
  type Plan,
  type Stored,
} from './resource-plan.ts'
import { definitionIn, previewOf, samplesIn, type SampleDeps } from './sample-preview.ts'
import { specOf, storedSpec, storedView, writtenFields } from './written-resource.ts'

export interface KeepingDeps extends SampleDeps {
  /** True once something was stored. Before that, reading opens no file. */
  readonly hasHistory: boolean
  readonly open: () => Promise<Pipeline>
  /** Reads the resources of the log. Absent if each question reads the log itself. */
  readonly stored?: Catalog['stored']
  /**
   * Removes what is left of a deleted sync. Resolves with true once the sync is gone, and with false if its
   * change-detector removes it later.
   */
  readonly forgetSync: (
    life: { readonly sync: string; readonly incarnation: string },
    signal: AbortSignal,
  ) => Promise<boolean>
}

/** A change of one resource: its terms, and the version that it makes. */
interface OneChange extends ResourceNamed {
  readonly terms: ChangeTerms
  /** Throws an error for a change that is not possible. */
  readonly next: (before: ResourceRecord | undefined, stored: Stored) => ResourceChange['next']
}

/**
 * All methods may be called concurrently. A change is made as a whole or not at all. A run that begins
 * afterwards uses it. Errors: as `Control.call`.
 */
export class StoredKeeping {
  readonly #deps: KeepingDeps

  constructor(deps: KeepingDeps) {
    this.#deps = deps
  }

  async resource(named: ResourceNamed, signal: AbortSignal): Promise<ResourceView> {
    const { record, spec } = found(await this.#stored(signal), named)
    return storedView(record, spec)
  }

  async putResource(
    resource: ResourceNamed & { readonly document: WrittenDocument },
    terms: ChangeTerms,
    signal: AbortSignal,
  ): Promise<ResourceSetView> {
    const { kind, name } = resource
    const document = withName(resource)
    // Mistakes are reported before anything is opened to write.
    const checked = await this.#checked(document, resource, await this.#stored(signal), signal)
    if (kind === 'sync') await this.#endLeftDeletions(new Set([name]), signal)
    const spec = JSON.stringify(checked)
    const next: OneChange['next'] = before => ({
      project: '',
      spec,
      text: textBeside(document, spec, before),
    })
    return await this.#set({ kind, name, terms, next }, signal)
  }

  async deleteResource(
    named: ResourceNamed,
    terms: ChangeTerms,
    signal: AbortSignal,
  ): Promise<ResourceRemovedView> {
    const { kind, name } = named
    found(await this.#stored(signal), named)
    if (kind === 'sync') await this.#assertNoRun(name, signal)
    await this.#change({ kind, name, terms, next: () => null }, signal)
    return { removed: { kind, name }, pending: kind === 'sync' && !(await this.#forget([name], signal)) }
  }

  async resourceHistory(named: ResourceNamed, signal: AbortSignal): Promise<ResourceHistoryView> {
    const versions = this.#deps.hasHistory
      ? historyOf(named, await this.#read({ withPast: true }, signal))
      : []
    if (versions.length === 0) throw missing(named)
    return { versions: [...versions] }
  }

  async rollbackResource(
    { to, kind, name }: ResourceNamed & { readonly to: number | undefined },
    terms: ChangeTerms,
    signal: AbortSignal,
  ): Promise<ResourceSetView> {
    if (!this.#deps.hasHistory) throw missing({ kind, name })
    const { past, resources, lastVersions } = await this.#read({ withPast: true }, signal)
    const key = `${kind}/${name}`
    const present = resources.get(key)
    const last = Math.max(versionOf(present), lastVersions.get(key) ?? 0)
    if (last === 0) throw missing({ kind, name })
    const target = to ?? last - 1
    const old = target === versionOf(present) ? present : past.get(pastKey(key, target))
    const spec = old === undefined ? null : specOf({ kind, name, spec: old.spec })
    if (spec === null)
      throw new SluiceError(
        'not-found',
        old === undefined
          ? `There is no version ${target} of the ${kind} \`${name}\`: the history has the last ones.`
          : `The ${kind} \`${name}\` did not exist in version ${target}.`,
      )
    // The old version may refer to resources that no longer exist.
    const document = { fields: { kind, name, ...writtenFields(spec) } }
    await this.#checked(document, { kind, name }, resources, signal)
    if (kind === 'sync') await this.#endLeftDeletions(new Set([name]), signal)
    const based = { ...terms, version: terms.version ?? versionOf(present) }
    return await this.#set(
      {
        ...{ kind, name, terms: based },
        next: () => ({ project: '', spec: JSON.stringify(spec), text: old?.text ?? null }),
      },
      signal,
    )
  }

  async diff(project: ProjectResources, signal: AbortSignal): Promise<ChangesView> {
    const { documents } = this.#deps
    const { records: _, ...view } = await documents.plan(await this.#stored(signal), project, signal)
    return view
  }

  async apply(project: ProjectResources, by: string, signal: AbortSignal): Promise<ChangesView> {
    const { documents } = this.#deps
    const before = await documents.plan(await this.#stored(signal), project, signal)
    for (const { kind, name } of deletedSyncs(before))
      if (kind === 'sync') await this.#assertNoRun(name, signal)
    const pipeline = await this.#deps.open()
    const syncs = project.resources.filter(({ kind }) => kind === 'sync')
    await this.#endLeftDeletions(new Set(syncs.map(({ name }) => name)), signal)
    let plan: Plan = before
    await changeResources(
      pipeline,
      async stored => {
        plan = await documents.plan(stored, project, signal)
        return plan.records
      },
      { by, signal },
    )
    const { records: _, ...view } = plan
    const gone = deletedSyncs(plan).map(({ name }) => name)
    if (await this.#forget(gone, signal)) return view
    return {
      ...view,
      notices: [`the topics of ${gone.join(', ')} go as soon as a change-detector is at work`],
    }
  }

  async checkDocuments(documents: readonly WrittenDocument[], signal: AbortSignal): Promise<DocumentsView> {
    const { resources, problems } = await this.#check(documents, await this.#stored(signal), signal)
    return {
      ok: problems.length === 0,
      resources: resources.map(({ kind, name }) => ({ kind, name: name ?? '' })),
      problems: [...problems],
    }
  }

  async previewDocuments(query: SampleQuery, signal: AbortSignal): Promise<Preview> {
    const vault = await this.#vault()
    return await previewOf(query, await this.#stored(signal), { ...this.#deps, vault, signal })
  }

  /** The definition of a sync as documents have it, stored or not. */
  async definitionIn(
    query: Pick<SampleQuery, 'documents' | 'sync'>,
    signal: AbortSignal,
  ): Promise<Definition> {
    const { definition } = await definitionIn(query, await this.#stored(signal), { ...this.#deps, signal })
    return definition
  }

  async rows(query: RowsQuery, signal: AbortSignal): Promise<RowsView> {
    const stored = await this.#stored(signal)
    const checked = await this.#check(query.documents, stored, signal)
    assertRight(checked, 'The source')
    const own = checked.resources.flatMap(({ spec }) => (spec === null ? [] : [spec]))
    const isIt = (spec: ResourceSpec): boolean => spec.kind === 'source' && spec.name === query.source
    const source = own.find(isIt) ?? storedSpec(stored, { kind: 'source', name: query.source })
    if (source?.kind !== 'source') throw missing({ kind: 'source', name: query.source })
    const { from, limit } = query
    const as = { vault: await this.#vault(), signal }
    return await samplesIn(this.#deps).readRows(source, { from, limit }, as)
  }

  /** Ends deletions of syncs that an earlier process left unfinished. */
  async endDeletions(signal: AbortSignal): Promise<void> {
    await this.#forget([], signal)
  }

  get #dir(): string | null {
    return this.#deps.samples?.dir ?? null
  }

  async #vault(): Promise<Pipeline['vault']> {
    return this.#deps.hasHistory ? await vaultOf(await this.#deps.open()) : null
  }

  async #stored(signal: AbortSignal): Promise<Stored> {
    if (!this.#deps.hasHistory) return new Map()
    return (await this.#read({ withPast: false }, signal)).resources
  }

  async #read(extent: { readonly withPast: boolean }, signal: AbortSignal): Promise<StoredResources> {
    const { open, stored } = this.#deps
    return stored === undefined
      ? await readStored(await open(), { signal, ...extent })
      : await stored(extent, signal)
  }

  #check(documents: readonly WrittenDocument[], stored: Stored, signal: AbortSignal): Promise<Checked> {
    return this.#deps.documents.check(documents, { dir: this.#dir, stored, signal })
  }

  async #checked(
    document: WrittenDocument,
    { kind, name }: ResourceNamed,
    stored: Stored,
    signal: AbortSignal,
  ): Promise<ResourceSpec> {
    const what = `The ${kind} \`${name}\``
    const checked = await this.#check([document], stored, signal)
    assertRight(checked, what)
    const [spec, ...others] = checked.resources.map(resource => resource.spec)
    if (spec === undefined || spec === null || others.length > 0)
      throw new SluiceError('config', `${what}: wanted one document, found ${checked.resources.length}.`)
    if (spec.kind === kind && spec.name === name) return spec
    throw new SluiceError(
      'config',
      `The document is the ${spec.kind} \`${spec.name}\`, and the address is that of the ${kind} \`${name}\`.`,
    )
  }

  async #set(change: OneChange, signal: AbortSignal): Promise<ResourceSetView> {
    const before = await this.#change(change, signal)
    const { record, spec } = found(await this.#stored(signal), change)
    const old = before === undefined ? null : specOf(before)
    const changed = before === undefined ? [] : differences(old, spec).map(({ field }) => field)
    return { ...storedView(record, spec), created: before === undefined, changed }
  }

  /** Resolves with the record of the resource before the change; undefined if there was none. */
  async #change(
    { kind, name, terms, next }: OneChange,
    signal: AbortSignal,
  ): Promise<ResourceRecord | undefined> {
    const { by, version, takeOver = false } = terms
    const pipeline = await this.#deps.open()
    const past = version === undefined ? null : await readStored(pipeline, { signal, withPast: true })
    let before: ResourceRecord | undefined
    await changeResources(
      pipeline,
      stored => {
        before = stored.get(`${kind}/${name}`)
        const known = version === undefined ? undefined : past?.past.get(pastKey(`${kind}/${name}`, version))
        assertVersion(
          { version: versionOf(before), fields: fieldsBetween(known, before), by: before?.by ?? null },
          { kind, name, version },
        )
        assertOwn(before, takeOver)
        const change = { kind, name, next: next(before, stored) }
        assertUnused(stored, [change])
        return [change]
      },
      { by, signal },
    )
    return before
  }

  /** Throws `conflict` for a sync with an open run, since that run needs the topics of the sync. */
  async #assertNoRun(sync: string, signal: AbortSignal): Promise<void> {
    const pipeline = await this.#deps.open()
    await caughtUpWithRuns(pipeline, signal)
    const events = pipeline.runs.of(sync)?.events.values() ?? []
    const open = [...events].find(({ status }) => !isEnded(status) && status !== 'held')
    if (open === undefined) return
    throw new SluiceError(
      'conflict',
      `Run ${open.runId} of \`${sync}\` is ${open.status}: a sync goes with all its topics, so end it first (\`sluice cancel ${open.runId}\`).`,
      { retryable: true },
    )
  }

  /**
   * Ends deletions of these syncs that an earlier process left unfinished. Otherwise these syncs could not be
   * written.
   */
  async #endLeftDeletions(syncs: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const stored = await this.#stored(signal)
    if ([...syncs].some(sync => stored.has(deletionKey(sync)))) await this.#forget([], signal)
  }

  /** Also ends deletions that an earlier process left unfinished. */
  async #forget(syncs: readonly string[], signal: AbortSignal): Promise<boolean> {
    let areGone = true
    const stored = await this.#stored(signal)
    const marked = [...stored.values()].filter(({ kind }) => kind === 'deletion')
    for (const { name, spec } of marked) {
      const incarnation = stored.get(`incarnation/${name}`)?.spec ?? spec
      const isMarked = async (): Promise<boolean> => (await this.#stored(signal)).has(deletionKey(name))
      // Another process may have ended the deletion, and the sync may exist again.
      if (!(await isMarked())) continue
      const isGone = (await this.#deps.forgetSync({ sync: name, incarnation }, signal)) || !(await isMarked())
      areGone &&= isGone || !syncs.includes(name)
    }
    return areGone
  }
}

/** Adds the kind and name of its address to a document that leaves them out. */
function withName({
  kind,
  name,
  document,
}: ResourceNamed & { readonly document: WrittenDocument }): WrittenDocument {
  return 'fields' in document ? { ...document, fields: { kind, name, ...document.fields } } : document
}

/** The author's text of the new version. Fields that change nothing leave the text as it is. */
function textBeside(
  document: WrittenDocument,
  spec: string,
  before: ResourceRecord | undefined,
): string | null {
  if ('yaml' in document) return document.yaml
  return before !== undefined && isSameSpec(before.spec, spec) ? before.text : null
}

function found(
  stored: Stored,
  { kind, name }: ResourceNamed,
): { readonly record: ResourceRecord; readonly spec: ResourceSpec } {
  const record = stored.get(`${kind}/${name}`)
  if (record === undefined) throw missing({ kind, name })
  const spec = specOf(record)
  if (spec !== null) return { record, spec }
  throw new SluiceError('corrupt', `The log's record of the ${kind} \`${name}\` cannot be read.`)
}

function missing({ kind, name }: ResourceNamed): SluiceError {
  return new SluiceError('not-found', `There is no ${kind} \`${name}\`.`)
}

function deletedSyncs({ changes }: Plan): Plan['changes'] {
  return changes.filter(({ kind, action }) => kind === 'sync' && action === 'delete')
}

function fieldsBetween(known: ResourceRecord | undefined, before: ResourceRecord | undefined): string[] {
  if (known === undefined || before === undefined) return []
  const { kind, name } = before
  return differences(specOf({ kind, name, spec: known.spec }), specOf(before)).map(({ field }) => field)
}
