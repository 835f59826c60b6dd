/** Reads the alerts, the syncs of each, and their certificates. */
import { X509Certificate } from 'node:crypto'
import type { AlertSpec, DestinationSpec, ResourceSpec, SyncSpec } from '@sluice/contracts/resources'
import { isSluiceError } from '@sluice/contracts/errors'
import { fillSecrets, type SecretFor } from '@sluice/contracts/secret-references'
import { useByDestination } from '@sluice/domain/secret-uses'
import { parseResource } from '@sluice/resources/parse-documents'
import { readResources } from '@sluice/resources/stored-resources'
import type { CertificateFact } from '../evaluate/facts.ts'
import { watchKey, type AlertLog, type Watch } from './alert-records.ts'

/** Returns when the certificates in a PEM text expire, in ms since 1970. */
export function expiriesIn(pem: string): number[] {
  return certificatesIn(pem).flatMap(text => {
    try {
      const at = Date.parse(new X509Certificate(text).validTo)
      return Number.isNaN(at) ? [] : [at]
    } catch {
      return []
    }
  })
}

const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'

function certificatesIn(pem: string): string[] {
  const texts: string[] = []
  for (let begin = pem.indexOf(BEGIN); begin >= 0; begin = pem.indexOf(BEGIN, begin)) {
    const end = pem.indexOf(END, begin)
    if (end < 0) break
    texts.push(pem.slice(begin, end + END.length))
    begin = end
  }
  return texts
}

export interface Watched {
  readonly alert: AlertSpec
  readonly sync: string
  /** True if its schedule starts no run. */
  readonly paused: boolean
  readonly destination: DestinationSpec | null
  /**
   * The syncs that send to the destination, if the alert reports the destination's health under `sync`; null
   * otherwise.
   */
  readonly tellsFor: ReadonlySet<string> | null
}

export interface AllWatched {
  readonly watched: readonly Watched[]
  /** True for an alert and a sync that exist, even if one of them cannot be read. */
  readonly knows: (watch: Watch) => boolean
}

/** Reads the stored resources. */
export async function readWatched(deps: AlertLog, signal: AbortSignal): Promise<AllWatched> {
  const stored = await readResources(deps, { signal })
  const specs = new Map<string, ResourceSpec>()
  for (const [key, { kind, spec }] of stored)
    if (kind === 'alert' || kind === 'sync' || kind === 'destination') addReadable(specs, key, spec)
  const syncs = [...specs.values()].filter(spec => spec.kind === 'sync')
  const watched: Watched[] = []
  for (const alert of specs.values()) {
    if (alert.kind !== 'alert') continue
    const told = new Set<string>()
    for (const sync of syncs) {
      if (alert.syncs !== 'all' && !alert.syncs.includes(sync.name)) continue
      const destination = specs.get(`destination/${sync.destination}`)
      // One notice about a destination is enough, however many syncs send to it.
      const tells = !told.has(sync.destination)
      told.add(sync.destination)
      watched.push({
        alert,
        sync: sync.name,
        paused: sync.paused === true,
        destination: destination?.kind === 'destination' ? destination : null,
        tellsFor: tells ? namesOfSyncsTo(sync.destination, syncs) : null,
      })
    }
  }
  const watches = new Set(watched.map(({ alert, sync }) => watchKey({ alert: alert.name, sync })))
  const isUnreadable = (kind: string, name: string): boolean =>
    stored.has(`${kind}/${name}`) && !specs.has(`${kind}/${name}`)
  return {
    watched,
    knows: watch =>
      watches.has(watchKey(watch)) || isUnreadable('alert', watch.alert) || isUnreadable('sync', watch.sync),
  }
}

function namesOfSyncsTo(destination: string, syncs: readonly SyncSpec[]): ReadonlySet<string> {
  return new Set(syncs.flatMap(sync => (sync.destination === destination ? [sync.name] : [])))
}

function addReadable(specs: Map<string, ResourceSpec>, key: string, spec: string): void {
  try {
    specs.set(key, parseResource(spec))
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
  }
}

const WHAT = { cert: 'the client certificate', ca: 'a certificate in `tls.ca`' } as const

/**
 * Returns when the certificates in a destination expire. A certificate that cannot be read here is left out.
 */
export function ownCertificates(destination: DestinationSpec, secretFor: SecretFor): CertificateFact[] {
  const { tls, name } = destination
  const use = useByDestination(destination)
  if (tls === undefined || use === null) return []
  return (['cert', 'ca'] as const).flatMap(field => {
    const text = tls[field]
    if (text === undefined) return []
    try {
      const pem = fillSecrets(text, secret => secretFor(secret, use))
      return expiriesIn(pem).map(expiresAt => ({ destination: name, what: WHAT[field], expiresAt }))
    } catch (error) {
      if (isSluiceError(error, 'config')) return []
      throw error
    }
  })
}
