/**
 * The vault: secrets that people set and tokens that Sluice keeps, sealed, in the topic `secrets`. Every
 * process that needs secrets follows the topic, so that a change counts for processes at work (PROTOCOL.md,
 * "Credentials").
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

const PAUSE_AFTER_SETBACK_MS = 1_000
const READ_AHEAD_BYTES = 512 * 1024
/** Every process holds all of it. */
const MAX_BYTES = 64_000_000
/** No clock is wrong by more. */
const YEAR_MS = 365 * 86_400_000
const NO_KEY =
  'This process has no key: set SLUICE_ENCRYPTION_KEY. Without Kafka, the key is in `.sluice/key`, unless that was lost.'
/** Changes of each name that are kept for those who ask who made them. */
const MAX_CHANGES_KEPT = 50
/** Names whose changes are counted. Of more names, the oldest changes may give way to the newest sooner. */
const MAX_NAMES_COUNTED = 10_000
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

export type SecretKind = 'secret' | 'login'

export interface VaultDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly keys: KeySource
  /** Told of each failure that may pass. Without it, such a failure ends the vault and rejects every wait. */
  readonly onTransientFailure?: (error: unknown) => void
  /** Told of each value that is set, and of each that is asked for, so that no log shows it. */
  readonly onOpened?: (value: string) => void
}

/** A secret as people may see it. */
export interface SecretView {
  readonly kind: SecretKind
  readonly name: string
  readonly grants: string | null
  readonly since: number
  readonly sealedBy: string
  /** Who set it, as the topic has it; null where nobody has said. */
  readonly by: string | null
}

/** A change of the vault that somebody made. */
export interface VaultChange {
  readonly kind: SecretKind
  readonly name: string
  readonly action: 'set' | 'remove'
  readonly at: number
  readonly by: string | null
  /** Tells it from all others. */
  readonly id: string
}

const CHANGE = 'change'
const changeKey = (of: Pick<VaultChange, 'kind' | 'name'>, place: number): string =>
  `${CHANGE}/${of.kind}/${of.name}/${place}`

/**
 * The changes that people made, as far as the topic has them: the last ones of each name, and the present
 * secrets of before they were kept. No value is opened for it.
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
      // Sluice itself writes a login anew with each refresh.
      else if (change.kind === 'secret') present.set(text, change)
    }
  const all = new Map([...present.values(), ...changes.values()].map(change => [change.id, change]))
  return [...all.values()]
}

/** Null for a record that tells of no change. */
function changeIn(key: string, value: SecretRecord): VaultChange | null {
  const [kept, kind, ...rest] = value.kind === CHANGE ? key.split('/') : [CHANGE, ...key.split('/')]
  const name = (value.kind === CHANGE ? rest.slice(0, -1) : rest).join('/')
  if (kept !== CHANGE || (kind !== 'secret' && kind !== 'login') || value.name !== name) return null
  const { since, by, version } = value
  const action = value.kind === CHANGE && value.sealedBy === 'remove' ? 'remove' : 'set'
  return { kind, name, action, at: since, by, id: `${kind}/${name}/${version}/${action}` }
}

export class Vault implements KeptSecrets, AsyncDisposable {
  readonly #deps: VaultDeps
  readonly #topic: string
  readonly #records = new Map<string, SecretRecord>()
  /** Opened values, so that each record is opened once. */
  readonly #opened = new WeakMap<SecretRecord, string>()
  readonly #stop = new AbortController()
  readonly #changes = new Notifier()
  /** Where the last change of each name that somebody made is kept, by kind and name. */
  readonly #lastChanges = new RecentMap<string, number>({ limit: MAX_NAMES_COUNTED })
  /** Bytes of all sealed values. */
  #bytes = 0
  /** True once a record was passed over, since there is no room for it. */
  #isOverfull = false
  #position = -1
  #failure: unknown = null
  #tail: Promise<void> = Promise.resolve()

  private constructor(deps: VaultDeps) {
    this.#deps = deps
    this.#topic = sharedTopics(deps.prefix).secrets
  }

  /**
   * Resolves once it holds all that the topic had when this was called, and follows the topic from then on.
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

  /** Waits until it holds all that was in the topic when this was called. */
  async caughtUp(options: { signal: AbortSignal }): Promise<void> {
    const { end } = await this.#deps.log.offsets(at(this.#topic, 0), options)
    for (;;) {
      const seen = this.#changes.version
      if (this.#failure !== null) throw this.#failure
      if (this.#position >= end) return
      await this.#changes.after(seen, options)
    }
  }

  /** Grows with each change. What was made of secrets of another version may be out of date. */
  get version(): number {
    return this.#changes.version
  }

  /** The secret that a person has set; null if there is none. Throws `config` if it cannot be read here. */
  find(name: string): KeptSecret | null {
    return this.#find('secret', keptName(name))
  }

  /** The tokens of a destination; null if there are none. Throws `config` if they cannot be read here. */
  login(destination: string): KeptSecret | null {
    return this.#find('login', destination)
  }

  /**
   * The text of its grants, for a value that is to take its place. Null if it has none, or is not there.
   * Throws `config` if it cannot be opened here: then anybody may have written these grants.
   */
  grantsOf(kind: SecretKind, name: string): string | null {
    return this.#grantsOf(this.#records.get(`${kind}/${name}`))
  }

  /** All of them, by kind and name, without their values, as the topic has them: nothing is opened for it. */
  list(): readonly SecretView[] {
    return [...this.#records.values()]
      .map(({ kind, name, grants, since, sealedBy, by }): SecretView => {
        return { kind: kind === 'login' ? kind : 'secret', name, grants, since, sealedBy, by }
      })
      .sort((a, b) => `${a.kind}/${a.name}`.localeCompare(`${b.kind}/${b.name}`, 'en'))
  }

  /**
   * Sets a secret. Resolves with its grants, and whether there was one, once all replicas have it. Of two
   * that set the same one at the same time, one is `fenced`. Rejects with `conflict` if it has another
   * version than expected, and with `config` for grants that are none, or a value that is too long.
   */
  async set(
    of: {
      readonly kind: SecretKind
      readonly name: string
      readonly value: string
      /** Absent: those that it has. Rejects with `config` if they cannot be believed. */
      readonly grants?: string | null
      /** Who sets it; null: nobody says. Absent: Sluice itself, and the name that it has stays. */
      readonly by?: string | null
      /** The version that it is to replace (null: none); absent: any. */
      readonly expected?: number | null
    },
    options: { signal: AbortSignal },
  ): Promise<{ readonly grants: string | null; readonly replaced: boolean }> {
    const { kind, value } = of
    this.#deps.onOpened?.(value)
    const name = kind === 'secret' ? keptName(of.name) : of.name
    if (typeof of.grants === 'string') parseGrants('the grants', of.grants)
    if (Buffer.byteLength(value) > FILE_CEILING_BYTES)
      throw new SluiceError('config', `A secret has at most ${FILE_CEILING_BYTES} bytes.`)
    const keys = this.#deps.keys.needed()
    let set = { grants: of.grants ?? null, replaced: false }
    await this.#write(
      { kind, name },
      before => {
        if (of.expected !== undefined && of.expected !== (before?.version ?? null))
          throw new SluiceError('conflict', `the vault has another version of ${kind} ${name} by now`)
        if (this.#bytes - (before?.sealed.length ?? 0) + Buffer.byteLength(value) > MAX_BYTES)
          throw new SluiceError(
            'config',
            `The vault is full: it has at most ${MAX_BYTES} bytes. Remove a secret first.`,
          )
        const { grants = this.#grantsOf(before) } = of
        set = { grants, replaced: before !== undefined }
        // A version that was removed is not used again, so that its record cannot come back.
        const version = isAhead(before) ? Date.now() : Math.max((before?.version ?? 0) + 1, Date.now())
        const { by: sealedBy, bytes: sealed } = keys.seal(value, purposeOf({ kind, name, version, grants }))
        const by = of.by === undefined ? (before?.by ?? null) : of.by
        return { kind, name, version, grants, since: Date.now(), by, sealedBy, sealed }
      },
      { ...options, ...(of.by === undefined ? {} : { by: of.by }) },
    )
    return set
  }

  /** Removes it; false if there is none. Resolves once all replicas have that. `by`: who does so. */
  async remove(
    of: { readonly kind: SecretKind; readonly name: string; readonly by?: string | null },
    options: { signal: AbortSignal },
  ): Promise<boolean> {
    const name = of.kind === 'secret' ? keptName(of.name) : of.name
    await this.caughtUp(options)
    if (!this.#records.has(`${of.kind}/${name}`)) return false
    await this.#write({ kind: of.kind, name }, () => null, { ...options, by: of.by ?? null })
    return true
  }

  /** Seals everything with the first key again, that another one sealed. Returns how many. */
  async reseal(options: { signal: AbortSignal }): Promise<number> {
    await this.caughtUp(options)
    const [first] = this.#deps.keys.needed().ids
    let count = 0
    for (const key of [...this.#records.keys()]) {
      for (;;) {
        const record = this.#records.get(key)
        if (record === undefined || record.sealedBy === first) break
        const kind = record.kind === 'login' ? 'login' : 'secret'
        const value = this.#openedValue(record)
        const { name, grants, version: expected } = record
        try {
          await this.set({ kind, name, value, grants, expected }, options)
          count += 1
        } catch (error) {
          // Somebody has changed or removed it meanwhile, which counts.
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
    const opened = this.#opened.get(record)
    if (opened !== undefined) this.#deps.onOpened?.(opened)
    if (opened !== undefined) return opened
    const { kind, name, sealedBy: by, sealed: bytes } = record
    const what = kind === 'login' ? `The login of \`${name}\`` : `The secret \`${name}\``
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
        `${what} is in the vault and was changed there by somebody without the key: ${todo}.`,
      )
    }
    this.#opened.set(record, value)
    this.#deps.onOpened?.(value)
    return value
  }

  /**
   * Changes one name, as its only writer: the log refuses an earlier one from the marker on. `by` is absent
   * for a change that nobody asked for.
   */
  async #write(
    { kind, name }: { readonly kind: SecretKind; readonly name: string },
    next: (before: SecretRecord | undefined) => SecretRecord | null,
    { by, ...options }: { readonly signal: AbortSignal; readonly by?: string | null },
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
    // Nothing comes after such a version, so it goes first.
    if (record !== null && isAhead(before)) values.unshift(null)
    const records = values.map(value => io.signed(target.topic, { key: textKey(key), value }))
    if (by !== undefined) records.push(this.#changeRecord({ kind, name, by }, record, before))
    await writer.append(target, records, options)
    await this.caughtUp(options)
  }

  /**
   * Who made a change, for those who ask. It goes into the topic together with the change. It has no value,
   * and versions that do not know such records pass over it.
   */
  #changeRecord(
    { kind, name, by }: { readonly kind: SecretKind; readonly name: string; readonly by: string | null },
    record: SecretRecord | null,
    before: SecretRecord | undefined,
  ): NewRecord {
    const place = ((this.#lastChanges.get(`${kind}/${name}`) ?? -1) + 1) % MAX_CHANGES_KEPT
    const since = Date.now()
    const version = record?.version ?? Math.max(since, (before?.version ?? 0) + 1)
    const sealedBy: VaultChange['action'] = record === null ? 'remove' : 'set'
    const value = this.#deps.io.encode('SecretRecord', {
      ...{ kind: CHANGE, name, version, grants: record?.grants ?? null, since, by },
      ...{ sealedBy, sealed: new Uint8Array(0) },
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
        await sleep(PAUSE_AFTER_SETBACK_MS, { signal }).catch(() => undefined)
      }
    }
  }

  /**
   * A record that is none of ours changes nothing, nor does an earlier version than the one that is known.
   */
  #take({ key, record, torn }: Placed): void {
    if (torn !== undefined || isMarkerKey(key)) return
    const name = keyText(key)
    if (record === null) this.#replace(name, null)
    if (record?.name !== 'sluice.SecretRecord') return
    const { value } = record
    if (value.kind === CHANGE) this.#countChange(name, value)
    // What nobody could remove by its name would be in the way for ever.
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

  /** A vault that somebody has filled beyond its limit takes no further memory. */
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

/** What a seal vouches for: whose value it is, since which change, and where it may go. */
function purposeOf(of: Pick<SecretRecord, 'kind' | 'name' | 'version' | 'grants'>): readonly unknown[] {
  return ['secret', of.kind, of.name, of.version, of.grants]
}

/** True for a version that no clock has given: somebody else wrote it. */
function isAhead(record: SecretRecord | undefined): boolean {
  return record !== undefined && record.version > Date.now() + YEAR_MS
}

function isOurs({ kind, name }: SecretRecord): boolean {
  return kind === 'login' || (kind === 'secret' && isKeptName(name))
}

function isKeptName(name: string): boolean {
  return NAME.test(name) && !/-(for|file)$/.test(name)
}

/** The one name of a secret, as for the environment, where `crm_key` and `CRM-KEY` are one variable. */
export function keptName(name: string): string {
  const kept = name.toLowerCase().replaceAll('_', '-')
  if (isKeptName(kept)) return kept
  throw new SluiceError(
    'config',
    `\`${name}\` is no name of a secret: letters, digits, dashes and underscores are wanted, at most 63 of them, and no end -for or -file.`,
  )
}
