/**
 * Checks a project against its sources and destinations. Sources have to answer and accept the queries, keys
 * and templates have to find their columns, and destinations have to be reachable. The check reads no row and
 * sends no request of a sync.
 */
import { isSluiceError, SluiceError, type ErrorCode, type ErrorDetail } from '@sluice/contracts/errors'
import type {
  Definition,
  DestinationSpec,
  ModelSpec,
  ResourceSpec,
  SourceSpec,
} from '@sluice/contracts/resources'
import type { ShownTls } from '@sluice/http-sender/port'
import { certificateNotices } from '@sluice/runs/machine/shown-certificates'
import type { Column } from '@sluice/contracts/values'
import { inFileOrder } from '@sluice/project/decode/places'
import { placedInFile } from '@sluice/project/checks/check-templates'
import { resourceKey, type Project, resolveDefinition } from '@sluice/project/project'

/** The checks. Each one resolves, or throws a SluiceError with details for the fields at fault. */
export interface Connections {
  describe(source: SourceSpec, model: ModelSpec, signal: AbortSignal): Promise<readonly Column[]>
  /** Checks that the changes of the source can be read. It makes nothing there that stays. */
  checkStream(definition: Definition, signal: AbortSignal): Promise<void>
  /** The rights of the source's login beyond reading, as phrases such as `is a superuser`. */
  excessRights(source: SourceSpec, signal: AbortSignal): Promise<readonly string[]>
  assertKey(model: ModelSpec, columns: readonly Column[]): void
  assertTemplates(definition: Definition, columns: readonly Column[]): void
  /** Checks that the headers and query can be sent with the secrets that are set. */
  assertSendable(destination: DestinationSpec): void
  /** The certificates that the connection showed; null without TLS. */
  reach(destination: DestinationSpec, signal: AbortSignal): Promise<ShownTls | null>
}

export interface EncryptedDestination {
  readonly name: string
  readonly tls: ShownTls
}

export interface Connected {
  readonly sources: number
  readonly queries: number
  readonly destinations: number
  /** The destinations that are reached over TLS, by name. */
  readonly encrypted: readonly EncryptedDestination[]
  /** Findings that stop no run, and that somebody should look at. */
  readonly warnings: readonly string[]
}

/**
 * Throws one error for everything that is wrong: `config`, with a place for each mistake. If the only problem
 * is that a source or destination does not answer, the error is `unreachable`.
 */
export async function checkConnections(
  project: Project,
  connections: Connections,
  signal: AbortSignal,
): Promise<Connected> {
  const check = new Check(project, connections, signal)
  const connected = await check.all()
  const { problems } = check
  if (problems.length === 0) return connected
  const codes = new Set(problems.map(({ code }) => code))
  const code = codes.size === 1 ? (problems[0]?.code ?? 'config') : 'config'
  const errors = problems.length === 1 ? 'an error' : `${problems.length} errors`
  throw new SluiceError(code, `The project in ${project.dir} has ${errors}.`, {
    details: inFileOrder(problems.map(({ detail }) => detail)),
  })
}

class Check {
  readonly problems: { readonly code: ErrorCode; readonly detail: ErrorDetail }[] = []
  readonly #project: Project
  readonly #connections: Connections
  readonly #signal: AbortSignal

  constructor(project: Project, connections: Connections, signal: AbortSignal) {
    this.#project = project
    this.#connections = connections
    this.#signal = signal
  }

  async all(): Promise<Connected> {
    const specs = [...this.#project.resources.values()]
    const sources = specs.filter(spec => spec.kind === 'source')
    const models = specs.filter(spec => spec.kind === 'model')
    const destinations = specs.filter(spec => spec.kind === 'destination')
    const columns = new Map<string, readonly Column[]>()
    const reached = Promise.all(destinations.map(destination => this.#reach(destination)))
    const byName = (one: EncryptedDestination, other: EncryptedDestination): number =>
      one.name < other.name ? -1 : 1
    const warnings: string[] = []
    for (const source of sources) {
      const own = models.filter(model => model.source === source.name)
      for (const model of own.length === 0 ? [anyModel(source)] : own) {
        const found = await this.#describe(source, model, own.length > 0)
        if (found !== null) columns.set(model.name, found)
      }
      if (this.problems.length === 0) warnings.push(...(await this.#rightsOf(source)))
    }
    for (const spec of specs) if (spec.kind === 'sync') this.#checkTemplates(spec.name, columns)
    for (const spec of specs)
      if (spec.kind === 'sync' && spec.schedule === 'continuous' && columns.has(spec.model))
        await this.#checkStream(spec.name)
    const encrypted = (await reached).filter(found => found !== null).sort(byName)
    warnings.push(...encrypted.flatMap(destination => expiring(destination, Date.now())))
    const numbers = { sources: sources.length, queries: models.length, destinations: destinations.length }
    return { ...numbers, encrypted, warnings }
  }

  async #rightsOf(source: SourceSpec): Promise<readonly string[]> {
    try {
      const rights = await this.#connections.excessRights(source, this.#signal)
      if (rights.length === 0) return []
      const advice = 'A query can then do more than read; give Sluice a login that may read and nothing else.'
      return [`source \`${source.name}\`: its login ${rights.join(', and ')}. ${advice}`]
    } catch (error) {
      this.#note(error, source)
      return []
    }
  }

  async #describe(source: SourceSpec, model: ModelSpec, isOwn: boolean): Promise<readonly Column[] | null> {
    try {
      const columns = await this.#connections.describe(source, model, this.#signal)
      if (isOwn) this.#connections.assertKey(model, columns)
      return columns
    } catch (error) {
      // A mistake in the SQL or the key is reported for the model. If a source does not answer, that is
      // reported for the source.
      const isTheModels = isOwn && isSluiceError(error) && error.code !== 'unreachable'
      this.#note(error, isTheModels ? model : source)
      return null
    }
  }

  #checkTemplates(sync: string, columns: ReadonlyMap<string, readonly Column[]>): void {
    const definition = resolveDefinition(this.#project, sync)
    const found = columns.get(definition.model.name)
    if (found === undefined) return
    try {
      this.#connections.assertTemplates(definition, found)
    } catch (error) {
      this.#note(error, definition.sync)
    }
  }

  async #checkStream(sync: string): Promise<void> {
    const definition = resolveDefinition(this.#project, sync)
    try {
      await this.#connections.checkStream(definition, this.#signal)
    } catch (error) {
      this.#note(error, definition.source)
    }
  }

  async #reach(destination: DestinationSpec): Promise<EncryptedDestination | null> {
    try {
      this.#connections.assertSendable(destination)
    } catch (error) {
      this.#note(error, destination)
    }
    try {
      const tls = await this.#connections.reach(destination, this.#signal)
      return tls === null ? null : { name: destination.name, tls }
    } catch (error) {
      this.#note(error, destination)
      return null
    }
  }

  #note(error: unknown, { kind, name }: ResourceSpec): void {
    this.#signal.throwIfAborted()
    if (!isSluiceError(error)) throw error
    const origins = this.#project.origins.get(resourceKey(kind, name)) ?? new Map()
    const known = error.details.filter(({ field }) => field !== undefined && origins.has(field))
    const details = known.length > 0 ? known : [{ message: error.message }]
    for (const detail of details) {
      // The message need not name the resource, since the place does.
      const message = detail.message.replace(new RegExp(`^${kind} ${name}:? `, 'i'), '')
      const placed = placedInFile({ ...detail, message }, origins, `${kind} \`${name}\``)
      this.problems.push({ code: error.code, detail: placed })
    }
  }
}

/** A model for a source that no model reads, so that the source is checked, too. */
function anyModel(source: SourceSpec): ModelSpec {
  return { kind: 'model', name: '', source: source.name, sql: 'select 1 as one', primaryKey: 'one' }
}

/** Notices about certificates that have expired, or expire soon. */
function expiring({ name, tls }: EncryptedDestination, at: number): readonly string[] {
  const shown = (['server', 'client'] as const).flatMap(side => {
    const found = tls[side]
    return found === null ? [] : [{ side, subject: found.subject, expiresAt: found.validUntil }]
  })
  return certificateNotices(shown, at).map(notice => `destination \`${name}\`: ${notice}`)
}
