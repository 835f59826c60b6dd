/**
 * The vault: secrets that people set, logins that Sluice stores, and tokens of the API that people make. They
 * are sealed, in the topic `secrets` (PROTOCOL.md, "Credentials"). Every process that needs them follows the
 * topic, so that a change reaches running processes.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { SecretRecord } from '@sluice/contracts/document-records'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { RecentMap } from '@sluice/flow/recent-map'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import { plainMarker } from '@sluice/partition/take-over'
import type { KeptSecret, KeptSecrets } from '../bound-secrets.ts'
import { parseGrants } from '../grants.ts'
import { decodeShared, type Placed } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, isMarkerKey, keyText, markerKey, sharedTopics, textKey } from '@sluice/topics/topics'
import type { KeySource } from './key-file.ts'

const PAUSE_AFTER_FAILURE_MS = 1_000
const READ_AHEAD_BYTES = 512 * 1024
/** The most bytes of sealed values. Every process holds all of them. */
const MAX_BYTES = 64_000_000
/** No clock is wrong by more than this. */
const YEAR_MS = 365 * 86_400_000
const NO_KEY =
  'This process has no key: set SLUICE_ENCRYPTION_KEY. Without Kafka, the key is in `.sluice/key`, unless that was lost.'
/** The last changes of each name that the audit shows. */
const MAX_CHANGES_KEPT = 50
/** The names whose changes are counted. With more names, fewer changes of a name may be kept. */
const MAX_NAMES_COUNTED = 10_000
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

export type SecretKind = 'secret' | 'login' | 'token'

export interface VaultDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly keys: KeySource
  /**
   * Called with each transient failure. Without it, a transient failure ends the vault and rejects every
   * wait.
   */
  readonly onTransientFailure?: (error: unknown) => void
  /** Called with each value that is set or read, so that logs can mask it. */
  readonly onOpened?: (value: string) => void
}

/** A secret as people see it. */
export interface SecretView {
  readonly kind: Exclude<SecretKind, 'token'>
  readonly name: string
  readonly grants: string | null
  readonly since: number
  readonly sealedBy: string
  /** The person who set it, as the topic says; null if it does not. */
  readonly by: string | null
}

/** A token that a person made, as the vault keeps it. The value is up to the server that made it. */
export interface KeptToken {
  readonly name: string
  readonly value: string
  readonly since: number
  /** The person who made it; null if unknown. */
  readonly by: string | null
}

/** A change of the vault by a person. */
export interface VaultChange {
  readonly kind: SecretKind
  readonly name: string
  readonly action: 'set' | 'remove'
  readonly at: number
  readonly by: string | null
  /** The audit tells this text of it beside its name; null if there is nothing to tell. */
  readonly note: string | null
  /** Identifies the change. */
  readonly id: string
}

const CHANGE = 'change'
const changeKey = ({ kind, name }: Pick<VaultChange, 'kind' | 'name'>, place: number): string =>
  `${CHANGE}/${kind}/${name}/${place}`

/**
 * Reads the changes that people made: the last ones of each name, and the secrets that were set before
 * changes were recorded. It opens no value.
 */
export async function readVaultChanges(
  { log, io, prefix }: Pick<VaultDeps, 'log' | 'io' | 'prefix'>,
  options: { signal: AbortSignal },
): Promise<readonly VaultChange[]> {
  const target = at(sharedTopics(prefix).secrets, 0)
  const { low, end } = await log.offsets(target, options)
  const changes = new Map<string, VaultChange>()
  const present = new Map<string, VaultChange>()
  if (low >= end) return []
  for await (const { records } of log.read(target, { ...options, from: low, to: end }))
    for (const { key, record } of await decodeShared(io, { target, records }, options.signal)) {
      if (isMarkerKey(key)) continue
      const text = keyText(key)
      if (record === null) present.delete(text)
      if (record?.name !== 'sluice.SecretRecord') continue
      const change = changeIn(text, record.value)
      if (change === null) continue
      if (record.value.kind === CHANGE) changes.set(text, change)
      // Sluice itself writes logins, with each refresh.
      else if (change.kind === 'secret') present.set(text, change)
    }
  const all = new Map([...present.values(), ...changes.values()].map(change => [change.id, change]))
  return [...all.values()]
}

/** Returns the change of a record; null if it has none. */
function changeIn(key: string, value: SecretRecord): VaultChange | null {
  const [kept, kind, ...rest] = value.kind === CHANGE ? key.split('/') : [CHANGE, ...key.split('/')]
  const name = (value.kind === CHANGE ? rest.slice(0, -1) : rest).join('/')
  if (kept !== CHANGE || !isKind(kind) || value.name !== name) return null
  const { since, by, version } = value
  const action = value.kind === CHANGE && value.sealedBy === 'remove' ? 'remove' : 'set'
  const { note = null } = value
  return { kind, name, action, at: since, by, note, id: `${kind}/${name}/${version}/${action}` }
}

export class Vault implements KeptSecrets, AsyncDisposable {
  readonly #deps: VaultDeps
  readonly #topic: string
  readonly #records = new Map<string, SecretRecord>()
  /** The opened values, so that each record is opened once. */
  readonly #opened = new WeakMap<SecretRecord, string>()
  readonly #stop = new AbortController()
  readonly #changes = new Notifier()
  /** The place of the last recorded change, by kind and name. */
  readonly #lastChanges = new RecentMap<string, number>({ limit: MAX_NAMES_COUNTED })
  /** The bytes of all sealed values. */
  #bytes = 0
  /** True once a record was ignored, since the vault is full. */
  #isOverfull = false
  #position = -1
  #failure: unknown = null
  #tail: Promise<void> = Promise.resolve()

  private constructor(deps: VaultDeps) {
    this.#deps = deps
    this.#topic = sharedTopics(deps.prefix).secrets
  }

  /**
   * Opens the vault. Resolves once it holds all that the topic had at the call. It follows the topic from
   * then on.
   */
  static async open(deps: VaultDeps, options: { signal: AbortSignal }): Promise<Vault> {
    const vault = new Vault(deps)
    const { low } = await deps.log.offsets(at(vault.#topic, 0), options)
    vault.#position = low
    vault.#tail = vault.#follow().catch((error: unknown) => {
      vault.#failure = error
      vault.#changes.notify()
    })
    try {
      await vault.caughtUp(options)
    } catch (error) {
      await vault[Symbol.asyncDispose]()
      throw error
    }
    return vault
  }

  /** Waits until it holds all that the topic had at the call. */
  async caughtUp(options: { signal: AbortSignal }): Promise<void> {
    const { end } = await this.#deps.log.offsets(at(this.#topic, 0), options)
    for (;;) {
      const seen = this.#changes.version
      if (this.#failure !== null) throw this.#failure
      if (this.#position >= end) return
      await this.#changes.after(seen, options)
    }
  }

  /** Grows with each change. Values that were derived from secrets of another version may be out of date. */
  get version(): number {
    return this.#changes.version
  }

  /** Returns a secret; null if there is none. Throws `config` if it cannot be read here. */
  find(name: string): KeptSecret | null {
    return this.#find('secret', keptName(name))
  }

  /** Returns the login of a destination; null if there is none. Throws `config` if it cannot be read here. */
  login(destination: string): KeptSecret | null {
    return this.#find('login', destination)
  }

  /**
   * Returns the text of its grants, for a value that replaces it; null if it has none or does not exist.
   * Throws `config` if it cannot be opened here, since anybody may have written these grants then.
   */
  grantsOf(kind: SecretKind, name: string): string | null {
    return this.#grantsOf(this.#records.get(`${kind}/${name}`))
  }

  /**
   * Returns the tokens that people made. It leaves out a record that cannot be opened here, since anybody may
   * have written it.
   */
  tokens(): readonly KeptToken[] {
    return [...this.#records.values()].flatMap(record => {
      if (record.kind !== 'token') return []
      const { name, since, by } = record
      try {
        return [{ name, value: this.#openedValue(record), since, by }]
      } catch (error) {
        if (isSluiceError(error, 'config')) return []
        throw error
      }
    })
  }

  /** Returns all secrets and logins, by kind and name, without their values. It opens nothing. */
  list(): readonly SecretView[] {
    return [...this.#records.values()]
      .filter(({ kind }) => kind !== 'token')
      .map(({ kind, name, grants, since, sealedBy, by }): SecretView => {
        return { kind: kind === 'login' ? kind : 'secret', name, grants, since, sealedBy, by }
      })
      .sort((a, b) => `${a.kind}/${a.name}`.localeCompare(`${b.kind}/${b.name}`, 'en'))
  }

  /**
   * Sets a secret. Resolves with its grants, and whether it replaced one, once all replicas have it. If two
   * callers set the same secret at the same time, one of them gets `fenced`. Rejects with `conflict` if the
   * present version is not the expected one, and with `config` for invalid grants or a value that is too
   * long.
   */
  async set(
    secret: {
      readonly kind: SecretKind
      readonly name: string
      readonly value: string
      /** Default: the present grants. Rejects with `config` if these cannot be verified. */
      readonly grants?: string | null
      /**
       * The person who sets it; null if unknown. Absent if Sluice itself sets it: then the recorded person
       * stays.
       */
      readonly by?: string | null
      /** The audit tells this text of the change beside its name. It is not sealed, so it holds no secret. */
      readonly note?: string
      /** The version that it replaces (null: none); default: any. */
      readonly expected?: number | null
    },
    options: { signal: AbortSignal },
  ): Promise<{ readonly grants: string | null; readonly replaced: boolean }> {
    const { kind, value } = secret
    this.#told(kind, value)
    const name = kind === 'secret' ? keptName(secret.name) : secret.name
    if (typeof secret.grants === 'string') parseGrants('the grants', secret.grants)
    if (Buffer.byteLength(value) > FILE_CEILING_BYTES)
      throw new SluiceError('config', `A secret has at most ${FILE_CEILING_BYTES} bytes.`)
    const keys = this.#deps.keys.needed()
    let set = { grants: secret.grants ?? null, replaced: false }
    await this.#write(
      { kind, name },
      before => {
        if (secret.expected !== undefined && secret.expected !== (before?.version ?? null))
          throw new SluiceError('conflict', `the vault has another version of ${kind} ${name} by now`)
        if (this.#bytes - (before?.sealed.length ?? 0) + Buffer.byteLength(value) > MAX_BYTES)
          throw new SluiceError(
            'config',
            `The vault is full: it has at most ${MAX_BYTES} bytes. Remove a secret first.`,
          )
        const { grants = this.#grantsOf(before) } = secret
        set = { grants, replaced: before !== undefined }
        // A version that was removed is not used again, so that its record cannot come back.
        const version = isAhead(before) ? Date.now() : Math.max((before?.version ?? 0) + 1, Date.now())
        const { by: sealedBy, bytes: sealed } = keys.seal(value, purposeOf({ kind, name, version, grants }))
        const by = secret.by === undefined ? (before?.by ?? null) : secret.by
        return { kind, name, version, grants, since: Date.now(), by, sealedBy, sealed }
      },
      { ...options, ...(secret.by === undefined ? {} : { by: secret.by, note: secret.note ?? null }) },
    )
    return set
  }

  /** Removes it. Resolves once all replicas have removed it; false if there is none. `by` is the person. */
  async remove(
    secret: { readonly kind: SecretKind; readonly name: string; readonly by?: string | null },
    options: { signal: AbortSignal },
  ): Promise<boolean> {
    const name = secret.kind === 'secret' ? keptName(secret.name) : secret.name
    await this.caughtUp(options)
    if (!this.#records.has(`${secret.kind}/${name}`)) return false
    await this.#write({ kind: secret.kind, name }, () => null, { ...options, by: secret.by ?? null })
    return true
  }

  /** Seals all values of other keys again with the first key. Returns the number of these values. */
  async reseal(options: { signal: AbortSignal }): Promise<number> {
    await this.caughtUp(options)
    const [first] = this.#deps.keys.needed().ids
    let count = 0
    for (const key of [...this.#records.keys()]) {
      for (;;) {
        const record = this.#records.get(key)
        if (record === undefined || record.sealedBy === first) break
        const kind = isKind(record.kind) ? record.kind : 'secret'
        const value = this.#openedValue(record)
        const { name, grants, version: expected } = record
        try {
          await this.set({ kind, name, value, grants, expected }, options)
          count += 1
        } catch (error) {
          // A change or a removal meanwhile takes precedence.
          if (!isSluiceError(error, 'conflict') && !isSluiceError(error, 'fenced')) throw error
        }
      }
    }
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#tail
  }

  #grantsOf(record: SecretRecord | undefined): string | null {
    if (record === undefined) return null
    this.#openedValue(record)
    return record.grants
  }

  #find(kind: SecretKind, name: string): KeptSecret | null {
    const record = this.#records.get(`${kind}/${name}`)
    if (record === undefined && this.#isOverfull)
      throw new SluiceError(
        'config',
        `The topic ${this.#topic} has more than ${MAX_BYTES} bytes, and not all of it was read: remove what is not a secret of yours.`,
      )
    if (record === undefined) return null
    const { grants, since, version } = record
    const value = this.#openedValue(record)
    return {
      value,
      version,
      since,
      grants: grants === null ? null : parseGrants(`the grants of ${name}`, grants),
    }
  }

  #openedValue(record: SecretRecord): string {
    const { kind, name, sealedBy: by, sealed: bytes } = record
    const opened = this.#opened.get(record)
    if (opened !== undefined) this.#told(kind, opened)
    if (opened !== undefined) return opened
    const what = kind === 'login' ? `The login of \`${name}\`` : `The ${kind} \`${name}\``
    let value: string | null
    try {
      const keys = this.#deps.keys.known()
      if (keys === null) throw new SluiceError('config', NO_KEY)
      value = keys.open({ by, bytes }, purposeOf(record))
    } catch (error) {
      if (!isSluiceError(error, 'config')) throw error
      throw new SluiceError('config', `${what} is in the vault and cannot be read here. ${error.message}`)
    }
    if (value === null) {
      const todo =
        kind === 'login'
          ? `\`sluice auth ${name}\` logs in again`
          : 'set it again, with --for HOSTS if it had any'
      throw new SluiceError(
        'config',
        `${what} is in the vault, but a process without the key changed it: ${todo}.`,
      )
    }
    this.#opened.set(record, value)
    this.#told(kind, value)
    return value
  }

  /** A token is kept as its hash, which is no secret. */
  #told(kind: string, value: string): void {
    if (kind !== 'token') this.#deps.onOpened?.(value)
  }

  /**
   * Changes one name, as its only writer: the log refuses earlier writers from the marker on. `by` is absent
   * for a change that no person made.
   */
  async #write(
    { kind, name }: { readonly kind: SecretKind; readonly name: string },
    next: (before: SecretRecord | undefined) => SecretRecord | null,
    {
      by,
      note = null,
      ...options
    }: { readonly signal: AbortSignal; readonly by?: string | null; readonly note?: string | null },
  ): Promise<void> {
    const { log, io, prefix } = this.#deps
    const target = at(this.#topic, 0)
    const key = `${kind}/${name}`
    await using writer = await log.openWriter(`${prefix}.secret.${kind}.${name}`, options)
    const marker = io.encode('Marker', plainMarker('takeover', '', -1))
    const taken = { key: markerKey('takeover', key), value: marker }
    await writer.append(target, [io.signed(target.topic, taken)], options)
    await this.caughtUp(options)
    const before = this.#records.get(key)
    const record = next(before)
    const values = [record === null ? null : io.encode('SecretRecord', record)]
    // If no version can follow the present one, its record is removed first.
    if (record !== null && isAhead(before)) values.unshift(null)
    const records = values.map(value => io.signed(target.topic, { key: textKey(key), value }))
    if (by !== undefined) records.push(this.#changeRecord({ kind, name, by, note }, record, before))
    await writer.append(target, records, options)
    await this.caughtUp(options)
  }

  /**
   * Returns the record of a change for the audit, which is written together with the change. It has no value,
   * and versions that do not know records of changes ignore it.
   */
  #changeRecord(
    { kind, name, by, note }: Pick<VaultChange, 'kind' | 'name' | 'by' | 'note'>,
    record: SecretRecord | null,
    before: SecretRecord | undefined,
  ): NewRecord {
    const place = ((this.#lastChanges.get(`${kind}/${name}`) ?? -1) + 1) % MAX_CHANGES_KEPT
    const since = Date.now()
    const version = record?.version ?? Math.max(since, (before?.version ?? 0) + 1)
    const sealedBy: VaultChange['action'] = record === null ? 'remove' : 'set'
    const value = this.#deps.io.encode('SecretRecord', {
      ...{ kind: CHANGE, name, version, grants: record?.grants ?? null, since, by },
      ...{ sealedBy, sealed: new Uint8Array(0), note },
    })
    return this.#deps.io.signed(this.#topic, { key: textKey(changeKey({ kind, name }, place)), value })
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    const { log, io, onTransientFailure } = this.#deps
    const target = at(this.#topic, 0)
    while (!signal.aborted) {
      try {
        const reading = log.read(target, { signal, from: this.#position, bufferBytes: READ_AHEAD_BYTES })
        for await (const { records, nextOffset } of reading) {
          for (const placed of await decodeShared(io, { target, records }, signal)) this.#take(placed)
          this.#position = nextOffset
          this.#changes.notify()
        }
      } catch (error) {
        if (signal.aborted) return
        if (!isSluiceError(error) || !error.retryable || onTransientFailure === undefined) throw error
        onTransientFailure(error)
        await sleep(PAUSE_AFTER_FAILURE_MS, { signal }).catch(() => undefined)
      }
    }
  }

  /** Takes a record. A foreign record, or a version earlier than the known one, changes nothing. */
  #take({ key, record, torn }: Placed): void {
    if (torn !== undefined || isMarkerKey(key)) return
    const name = keyText(key)
    if (record === null) this.#replace(name, null)
    if (record?.name !== 'sluice.SecretRecord') return
    const { value } = record
    if (value.kind === CHANGE) this.#countChange(name, value)
    // A record that no name could remove would stay for ever.
    if (`${value.kind}/${value.name}` !== name || !isOurs(value)) return
    const known = this.#records.get(name)
    if (known === undefined || known.version < value.version) this.#replace(name, value)
  }

  #countChange(key: string, value: SecretRecord): void {
    const change = changeIn(key, value)
    const place = Number(key.slice(key.lastIndexOf('/') + 1))
    if (change === null || !Number.isInteger(place) || place < 0 || place >= MAX_CHANGES_KEPT) return
    this.#lastChanges.set(`${change.kind}/${change.name}`, place)
  }

  /** Replaces a record. Records beyond the limit of the vault are ignored, so that they take no memory. */
  #replace(name: string, record: SecretRecord | null): void {
    const left = this.#bytes - (this.#records.get(name)?.sealed.length ?? 0)
    this.#records.delete(name)
    this.#bytes = left
    if (record === null) return
    if (left + record.sealed.length > MAX_BYTES) {
      this.#isOverfull = true
      return
    }
    this.#bytes = left + record.sealed.length
    this.#records.set(name, record)
  }
}

/** Returns the purpose of a seal: the fields that are authenticated with the value. */
function purposeOf({
  kind,
  name,
  version,
  grants,
}: Pick<SecretRecord, 'kind' | 'name' | 'version' | 'grants'>): readonly unknown[] {
  return ['secret', kind, name, version, grants]
}

/** True for a version that no clock can have given. A foreign writer made it. */
function isAhead(record: SecretRecord | undefined): boolean {
  return record !== undefined && record.version > Date.now() + YEAR_MS
}

function isOurs({ kind, name }: SecretRecord): boolean {
  if (kind === 'token') return NAME.test(name)
  return kind === 'login' || (kind === 'secret' && isKeptName(name))
}

function isKind(kind: string | undefined): kind is SecretKind {
  return kind === 'secret' || kind === 'login' || kind === 'token'
}

function isKeptName(name: string): boolean {
  return NAME.test(name) && !/-(for|file)$/.test(name)
}

/** Returns the one name of a secret. In the environment, too, `crm_key` and `CRM-KEY` are one variable. */
export function keptName(name: string): string {
  const kept = name.toLowerCase().replaceAll('_', '-')
  if (isKeptName(kept)) return kept
  throw new SluiceError(
    'config',
    `\`${name}\` is no name of a secret: letters, digits, dashes and underscores are wanted, at most 63 of them, and no end -for or -file.`,
  )
}
