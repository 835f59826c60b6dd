/** A PostgreSQL server whose log is read: its connections, and what they have to find or make there. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type Client, DatabaseError } from 'pg'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { sleep } from '@sluice/flow/sleep'
import type { StreamBreak, StreamBreakReason } from '../../stream-port.ts'
import type { SqlDialect } from '../query/sql-dialect.ts'
import type { ServerAccess } from '../server/access.ts'
import { masked, serverMessage, type ServerNames } from '../server/errors.ts'
import { type AccessAndNames, accessAndNames, type ServerSourceOptions } from '../server/source.ts'
import { abandon, connect, connectForReplication } from './connection.ts'
import { columnsState, findTable, type FollowedTable } from './followed-table.ts'
import { lsnOf, lsnText } from './pgoutput.ts'
import {
  assertSlotPossible,
  ensurePublication,
  ensureSlot,
  findPublication,
  findSlot,
  type FollowNames,
  lacksReplication,
  type Slot,
} from './publication-and-slot.ts'

/** PostgreSQL cuts longer names. */
const MAX_NAME_LENGTH = 63
const LOOK_MS = 60_000
/** A server that is busy with a large transaction notices late that its client has gone. */
const CLOSE_TIMEOUT_MS = 2_000

export interface FollowedServerOptions extends ServerSourceOptions<PostgresSourceSpec> {
  /** The sync, after which publication and slot are named unless `follow` names them. */
  readonly sync: string
  /** How often a reader looks whether its log is still whole. A minute by default. */
  readonly lookMs?: number
}

/** A connection for replication, and the names for messages about it. */
export interface Connected {
  readonly client: Client
  readonly access: ServerAccess
  readonly names: ServerNames
  readonly follow: FollowNames
}

/** A table, and the log that tells of it. */
export interface TableLog {
  readonly table: FollowedTable
  /** See `logOf`. */
  readonly history: string
}

export interface FollowedServerDialect {
  readonly sql: SqlDialect
  connectError(error: unknown, names: ServerNames): SluiceError
}

/** Calls may run concurrently, each on a connection of its own. */
export class FollowedServer {
  readonly options: FollowedServerOptions
  readonly #dialect: FollowedServerDialect

  /** Throws `config` if the source has no `follow`. */
  constructor(options: FollowedServerOptions, dialect: FollowedServerDialect) {
    this.options = options
    this.#dialect = dialect
    if (options.spec.follow === undefined)
      throw new SluiceError('config', `Source ${options.spec.name} is not followed: it has no \`follow\`.`, {
        details: [{ field: 'follow', message: 'wanted, so that its tables can be followed' }],
      })
  }

  /** Fills in the secrets for one connection. */
  accessAndNames(): AccessAndNames {
    return accessAndNames(this.options, 'PostgreSQL')
  }

  async connect(signal: AbortSignal, open = connectForReplication): Promise<Connected> {
    signal.throwIfAborted()
    const { spec, sync } = this.options
    const { access, names } = this.accessAndNames()
    const { publication = nameOf(sync), slot = nameOf(sync) } = spec.follow ?? {}
    const user = masked(access.user, names.secrets)
    const client = await open(access).catch((error: unknown) => {
      signal.throwIfAborted()
      throw this.#cannotReplicate(error, names, user)
    })
    if (signal.aborted) client.connection.stream.destroy()
    signal.throwIfAborted()
    return { client, access, names, follow: { publication, slot, source: spec.name, user } }
  }

  /** Runs `work` on a connection of its own. An abort ends the work, also on the server. */
  async run<T>(
    signal: AbortSignal,
    work: (connected: Connected) => Promise<T>,
    open = connectForReplication,
  ): Promise<T> {
    const connected = await this.connect(signal, open)
    try {
      return await this.during(signal, connected, () => work(connected))
    } finally {
      await closeConnection(connected.client)
    }
  }

  /** Translates the errors of `work`. An abort ends it, also on the server. */
  async during<T>(
    signal: AbortSignal,
    { client, access, names }: Connected,
    work: () => Promise<T>,
  ): Promise<T> {
    const stop = (): void => void abandon(client, access).finally(() => client.connection.stream.destroy())
    signal.addEventListener('abort', stop, { once: true })
    try {
      const result = await work()
      signal.throwIfAborted()
      return result
    } catch (error) {
      signal.throwIfAborted()
      throw followError(error, names)
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  table(client: Client, model: ModelSpec): Promise<FollowedTable> {
    return findTable(client, model, { source: this.options.spec.name, dialect: this.#dialect.sql })
  }

  /** Makes publication and slot where they are missing or of no use. */
  async prepare({ client, follow }: Connected, model: ModelSpec): Promise<TableLog> {
    const table = await this.table(client, model)
    // The log of before the publication cannot be read through it, so the slot comes second.
    const { id } = await ensurePublication(client, follow, table)
    await ensureSlot(client, follow)
    return { table, history: (await logOf(client, table, id)).history }
  }

  /** Rejects as `prepare` would, and makes nothing that stays. */
  async check({ client, follow }: Connected, model: ModelSpec): Promise<void> {
    const table = await this.table(client, model)
    await table.query?.[Symbol.asyncDispose]()
    await client.query('BEGIN')
    try {
      await ensurePublication(client, follow, table)
    } finally {
      await client.query('ROLLBACK')
    }
    await assertSlotPossible(client, follow)
  }

  /** Resolves with a break if the log does not go on at the position. Makes nothing. */
  async find(
    { client, follow }: Connected,
    model: ModelSpec,
    from: { readonly history: string; readonly offset: bigint },
  ): Promise<TableLog | StreamBreak> {
    const table = await this.table(client, model)
    const publication = await findPublication(client, follow, table)
    const slot = await findSlot(client, follow)
    const { history, end } = await logOf(client, table, publication?.id ?? 'none')
    const changed = breakBetween(from.history, history) ?? endFault(end, from.offset)
    const found =
      changed?.why === 'history' ? changed : (slotFault(follow.slot, slot, from.offset) ?? changed)
    if (found === null) return { table, history }
    await table.query?.[Symbol.asyncDispose]()
    return found
  }

  /**
   * Looks now and then, until the log may lack entries that are behind this place, and resolves with the
   * break. A publication that leaves out changes for a while tells nothing of that in the log. An abort
   * rejects. A server that does not answer is asked again the next time.
   */
  async watch(place: TableLog, signal: AbortSignal): Promise<StreamBreak> {
    for (;;) {
      await sleep(this.options.lookMs ?? LOOK_MS, { signal })
      try {
        const found = await this.run(signal, connected => lookAt(connected, place), connect)
        if (found !== null) return found
      } catch {
        signal.throwIfAborted()
      }
    }
  }

  #cannotReplicate(error: unknown, names: ServerNames, user: string): SluiceError {
    const { code = '', message } = error instanceof DatabaseError ? error : { message: '' }
    if (code === '42501') return lacksReplication(error, names.source, user)
    if (code === '53300' && message.includes('max_wal_senders'))
      return new SluiceError(
        'config',
        `Source ${names.source}: ${names.server} serves no more readers of its log: as a superuser, run ALTER SYSTEM SET max_wal_senders = … with a higher number, and restart the server.`,
        { cause: error },
      )
    return this.#dialect.connectError(error, names)
  }
}

function slotFault(name: string, slot: Slot | null, offset: bigint): StreamBreak | null {
  if (slot === null) return lost(`the replication slot ${name} is gone`)
  if (slot.lost !== null) return lost(slot.lost)
  if (slot.flushed <= offset) return null
  return lost(
    `the replication slot ${name} stands at ${lsnText(slot.flushed)}, beyond ${lsnText(offset)}, the last position that was read`,
  )
}

/** Returns `sluice_<sync>` as a name that PostgreSQL takes for a slot. */
function nameOf(sync: string): string {
  const name = `sluice_${sync.replaceAll('-', '_')}`
  if (name.length <= MAX_NAME_LENGTH) return name
  const hash = createHash('sha256').update(sync).digest('hex').slice(0, 8)
  return `${name.slice(0, MAX_NAME_LENGTH - hash.length - 1)}_${hash}`
}

/**
 * Closes a connection, and waits until the server has done so: then it has let go of the slot. Never rejects.
 */
export async function closeConnection(client: Client): Promise<void> {
  const { stream } = client.connection
  if (stream.closed) return
  const closed = once(stream, 'close').catch(() => undefined)
  const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS)
  stream.resume()
  stream.end(TERMINATE)
  await closed.finally(() => clearTimeout(timer))
}

const TERMINATE = Buffer.from([...Buffer.from('X'), 0, 0, 0, 4])

const HISTORY_PARTS = ['system', 'timeline', 'table', 'publication', 'columns'] as const

interface Identified {
  readonly systemid: string
  readonly timeline: number
  readonly xlogpos: string
}

/**
 * Returns the end of the log, and what the positions belong to. The system and its timeline tell one log from
 * another. If the rest differs, the log is the same, but lacks entries.
 */
async function logOf(
  client: Client,
  table: FollowedTable,
  publication: string,
): Promise<{ readonly history: string; readonly end: bigint }> {
  const { rows } = await client.query<Identified>('IDENTIFY_SYSTEM')
  const { systemid = '', timeline = 0, xlogpos = '0/0' } = rows[0] ?? {}
  const history = [systemid, timeline, ...(await placeOf(client, table, publication))].join('/')
  return { history, end: lsnOf(xlogpos) }
}

/** A server that was restored from an older state of its disk has the same system and timeline. */
function endFault(end: bigint, offset: bigint): StreamBreak | null {
  if (offset <= end) return null
  const detail = `the log ends at ${lsnText(end)}, before ${lsnText(offset)}, the last position that was read: the server went back`
  return broken('history', detail)
}

/** Returns the table, its place in the publication, and its columns with what the log tells of them. */
async function placeOf(
  client: Client,
  table: FollowedTable,
  publication: string,
): Promise<readonly string[]> {
  const told = JSON.stringify([await columnsState(client, table.id), table.identity])
  const columns = createHash('sha256').update(told).digest('hex').slice(0, 12)
  return [`${table.database.id}.${table.id}`, publication, columns]
}

async function lookAt(
  { client, follow }: Connected,
  { table, history }: TableLog,
): Promise<StreamBreak | null> {
  try {
    const publication = await findPublication(client, follow, table)
    const log = history.split('/').slice(0, 2)
    const place = await placeOf(client, table, publication?.id ?? 'none')
    return breakBetween(history, [...log, ...place].join('/'))
  } catch (error) {
    if (!isSluiceError(error, 'config')) throw error
    return lost(error.message)
  }
}

/** Returns the break between a position's history and that of now; null if they are the same. */
function breakBetween(before: string, now: string): StreamBreak | null {
  const [was, is] = [before, now].map(text => text.split('/'))
  const part = HISTORY_PARTS.find((_, index) => was?.[index] !== is?.[index])
  switch (part) {
    case undefined:
      return null
    case 'system':
    case 'timeline':
      return broken('history', 'the log is of another server, or of another timeline of it')
    case 'table':
      return lost('the table was made anew')
    case 'publication':
      return lost('the publication, or the place of the table in it, is gone or was changed')
    case 'columns':
      return broken('columns', 'the columns of the table, or its REPLICA IDENTITY, were changed')
    default:
      return part satisfies never
  }
}

export function broken(why: StreamBreakReason, detail: string): StreamBreak {
  return { kind: 'break', why, detail }
}

export function lost(detail: string): StreamBreak {
  return broken('lost', detail)
}

/** Something that was there is gone: a slot, a publication, a file of the log. */
const GONE = new Set(['42704', '58P01', '55000'])
/** The session is over, or trying again may help: another one may let go of the slot, for example. */
const RETRYABLE = /^(08|57P0[1-5]|40|53|55006|55P03)/

/** Returns the break that an error of the running log shows; null for any other error. */
export function breakOf(error: unknown, names: ServerNames): StreamBreak | null {
  if (!(error instanceof DatabaseError) || !GONE.has(error.code ?? '')) return null
  return lost(`PostgreSQL has lost a part of the log: ${serverMessage(error, names)}`)
}

export function followError(error: unknown, names: ServerNames): SluiceError {
  if (isSluiceError(error)) return error
  const said = serverMessage(error, names)
  const about = `Source ${names.source}`
  if (!(error instanceof DatabaseError))
    return new SluiceError('unreachable', `${about}: the connection to ${names.server} was lost: ${said}`, {
      cause: error,
      retryable: true,
    })
  const { code = '' } = error
  const hint = error.hint === undefined ? '' : ` (${serverMessage(error.hint, names)})`
  const message = `${about}: ${names.server} does not let its log be followed: ${said}${hint}`
  return RETRYABLE.test(code)
    ? new SluiceError('unreachable', message, { cause: error, retryable: true })
    : new SluiceError('config', message, { cause: error })
}
