/**
 * Looks at what another version of Sluice has left, in a folder or on Kafka, for `sluice upgrade --check`. It
 * changes nothing.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import { isResourceKind } from '@sluice/contracts/resources'
import { foundCaches } from '@sluice/delivered-state/adapters/state-cache'
import { isEnded } from '@sluice/domain/run-status'
import { readIndexFormat } from '@sluice/history/adapters/sqlite/index-file'
import { LOG_FORMAT, readLogFormat, type StoredFormat } from '@sluice/message-log/adapters/sqlite/store'
import { parseResource } from '@sluice/resources/parse-documents'
import { readResources } from '@sluice/resources/stored-resources'
import { caughtUpWithRuns } from '@sluice/control/runs/find-run'
import {
  byHand,
  countOf,
  kept,
  rebuilt,
  refused,
  resourceChecks,
  runsCheck,
  schemaChecks,
  vaultCheck,
  type UpgradeCheck,
} from '@sluice/control/health/upgrade-checks'
import { readLatestSchemas } from '@sluice/schema-codec/adapters/sqlite'
import type { Vault } from '@sluice/secrets/vault/vault'
import type { DistributedSettings } from '@sluice/runtime/settings/distributed'
import { isDistributed } from '@sluice/runtime/settings/distributed'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { openPast, openPastVault, PREFIX } from '../compose.ts'
import { groupMembers, sharedSchemas } from '../doctor/compose.ts'
import type { EmbeddedOptions } from '../source-options.ts'
import { dataDirOf, logFile } from '../state-folder.ts'

type UpgradeOptions = Pick<EmbeddedOptions, 'dir' | 'env' | 'signal' | 'mask' | 'logger'>

export interface FoundFolder {
  /** The version that worked there last; null if it left no mark, or nothing ran. */
  readonly writtenBy: string | null
  readonly checks: readonly UpgradeCheck[]
}

/** Checks the files of the embedded profile. While a process works there, only the log can be read. */
export async function folderUpgrade(options: UpgradeOptions): Promise<FoundFolder> {
  const dataDir = dataDirOf(options)
  const file = logFile(dataDir)
  if (!existsSync(file))
    return {
      writtenBy: null,
      checks: [kept('log', 'nothing has run here, so there is nothing to take over')],
    }
  const stored = formatOf(file)
  if (typeof stored === 'string')
    return { writtenBy: null, checks: [byHand('log', `${file} cannot be read: ${stored}`, PUT_BACK)] }
  const { format, writtenBy } = stored ?? { format: LOG_FORMAT, writtenBy: null }
  if (format !== LOG_FORMAT) {
    const found = `${file} has format ${format}, and this version reads format ${LOG_FORMAT}`
    return { writtenBy, checks: [refused('log', found, writerAgain(writtenBy))] }
  }
  const schemas = schemaChecks(readLatestSchemas(file), PREFIX)
  const checks = [
    kept('log', `${file} has format ${format}, which this version reads and writes`),
    ...schemas,
  ]
  if (schemas.some(({ effect }) => effect === 'refused')) return { writtenBy, checks }
  try {
    checks.push(...(await storedChecks(options)), ...(await cacheChecks(dataDir)))
  } catch (error) {
    if (!isSluiceError(error, 'conflict')) throw error
    checks.push({ ...byHand('lock', AT_WORK, STOP_IT), status: 'warning' })
  }
  return { writtenBy, checks }
}

const AT_WORK = 'a process works in the folder, so that its caches, runs and vault cannot be looked at'
const STOP_IT = 'stop it before the upgrade, and check again'

const PUT_BACK = 'put a copy of it back; `sluice doctor` says more'

function writerAgain(writtenBy: string | null): string {
  const version = writtenBy === null ? 'the version that wrote it' : `Sluice ${writtenBy} or a later one`
  return `install ${version}, or put back a backup that was made before it, with \`sluice restore\``
}

function formatOf(file: string): StoredFormat | null | string {
  try {
    return readLogFormat(file)
  } catch (error) {
    return messageOf(error)
  }
}

/** Checks the caches, which this version builds again if they do not fit. */
async function cacheChecks(dataDir: string): Promise<readonly UpgradeCheck[]> {
  const caches = await foundCaches(dataDir)
  const others = caches.filter(({ fits }) => !fits).map(({ sync }) => sync)
  const states =
    others.length === 0
      ? kept('state', `${countOf(caches.length, 'cache')} of the delivered state can be used`)
      : rebuilt(
          'state',
          `the delivered state of ${others.join(', ')} has another form`,
          'nothing to do: the next run restores it from the log, and sends no row for that',
        )
  const index = join(dataDir, 'history.db')
  if (!existsSync(index)) return [states]
  const { format, fits } = readIndexFormat(index)
  if (fits) return [states, kept('history', `${index} can be used`)]
  const found = `${index} has ${format === null ? 'another form' : `format ${format}, which is another one`}`
  const advice = `keep a copy of ${index} if you need attempts that are older than the log: \`sluice up\` fills a new one from the log`
  return [states, rebuilt('history', found, advice)]
}

/**
 * Checks what the topics hold: resources, runs and the vault. Rejects with `conflict` if a process works in
 * the folder, and with `unreachable` if Kafka or the registry does not answer.
 */
export async function storedChecks(options: UpgradeOptions): Promise<readonly UpgradeCheck[]> {
  const { signal } = options
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-upgrade-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const past = opening.use(await openPast(options, join(folder, 'schemas.db')))
  const { history } = past
  if (history === null) return [kept('resources', 'nothing has run here')]
  const resources = await readResources(history, { signal })
  // The topic has other records, too, such as the incarnations of syncs.
  const specs = [...resources].filter(([, { kind }]) => isResourceKind(kind))
  const unreadable = specs.flatMap(([name, { spec }]) => (isReadable(spec) ? [] : [name]))
  await caughtUpWithRuns(history, signal)
  const statuses = [...history.runs.all()].flatMap(({ events }) =>
    [...events.values()].map(({ status }) => status),
  )
  const open = statuses.filter(status => !isEnded(status))
  const held = open.filter(status => status === 'held').length
  const checks = [...resourceChecks(specs.length, unreadable), runsCheck({ open: open.length, held })]
  // On Kafka only the services need the key.
  if (isDistributed(options.env) && environmentKeys(options.env).known() === null) return checks
  const vault = await openPastVault(past, options)
  if (vault === null) return checks
  return [...checks, vaultOf(opening.use(vault))]
}

function isReadable(spec: string): boolean {
  try {
    parseResource(spec)
    return true
  } catch (error) {
    if (isSluiceError(error, 'corrupt')) return false
    throw error
  }
}

function vaultOf(vault: Vault): UpgradeCheck {
  const listed = vault.list()
  const closed = listed.filter(({ kind, name }) => {
    try {
      if (kind === 'login') vault.login(name)
      else vault.find(name)
      return false
    } catch (error) {
      if (isSluiceError(error, 'config')) return true
      throw error
    }
  })
  return vaultCheck(
    listed.length,
    closed.map(({ name }) => name),
  )
}

/**
 * Checks the schemas of a registry and the processes on Kafka. Rejects with `unreachable` if one does not
 * answer, and with `config` if it refuses.
 */
export async function kafkaUpgrade(
  settings: DistributedSettings,
  signal: AbortSignal,
): Promise<readonly UpgradeCheck[]> {
  const { prefix } = settings
  const subjects = await sharedSchemas(settings, signal)
  const schemas =
    subjects.length === 0
      ? [kept('schemas', `the registry has none under the prefix ${prefix}`)]
      : schemaChecks(subjects, prefix)
  const groups = new Set((await groupMembers(settings, signal)).map(({ group }) => group)).size
  const found =
    groups === 0
      ? `no service is at work under the prefix ${prefix}`
      : `services are at work in ${countOf(groups, 'consumer group')}: replace one process after the other`
  return [...schemas, kept('services', found)]
}
