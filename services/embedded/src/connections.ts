/** Connections to destinations, for runs and for `validate --connect`. */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { fillSecrets, secretNames, type SecretFor } from '@sluice/contracts/secret-references'
import { connectionOf } from '@sluice/delivery/destination/attempt-credentials'
import { useByDestination } from '@sluice/domain/secret-uses'
import { assertKeyColumns } from '@sluice/change-detector/detect/detect-changes'
import { templateColumns } from '@sluice/change-detector/detect/template-columns'
import type { Connections } from '@sluice/control/check-connections'
import type { ConnectionOptions, HttpSender } from '@sluice/http-sender/port'
import { assertSendable } from '@sluice/project/checks/assert-secrets'
import { destinationPrivateNetworks } from '@sluice/runtime/settings/reach'
import type { Environment } from '@sluice/runtime/environment'
import type { SecretLookup } from '@sluice/secrets/environment'
import type { Source } from '@sluice/sources/port'
import type { StreamSource } from '@sluice/sources/stream-port'
import type { DestinationSpec, SourceSpec } from '@sluice/contracts/resources'
import type { DestinationTokens } from '@sluice/delivery/destination/destination-tokens'
import { resolveTarget, type Profile, type Target } from '@sluice/delivery/destination/target'
import type { ResolveTarget } from '@sluice/delivery/run/open-run'
import { RecentMap } from '@sluice/flow/recent-map'
import type { Definitions } from '@sluice/resources/stored-documents'
import type { Vault } from '@sluice/secrets/vault/vault'

/** Each edit makes a definition, but only a few definitions have runs. */
const TARGETS_KEPT = 100

interface TargetMeans {
  readonly tokens: DestinationTokens
  readonly vault: Pick<Vault, 'version'>
  readonly profile: Profile
}

/** Returns destinations with their secrets, cached by definition until the vault changes. */
export function targets(
  definitions: Definitions,
  secretFor: SecretFor,
  { tokens, vault, profile }: TargetMeans,
): ResolveTarget {
  const known = new RecentMap<string, { readonly target: Target; readonly version: number }>({
    limit: TARGETS_KEPT,
  })
  return async (hash, { signal }) => {
    const kept = known.get(hash)
    if (kept?.version === vault.version) return kept.target
    const definition = await definitions.get(hash, { signal })
    const { version } = vault
    const credentials = tokens.of(definition.destination)
    const target = { ...resolveTarget(definition, secretFor, profile), credentials }
    known.set(hash, { target, version })
    return target
  }
}

/** `validate` waits this long for the answer of a destination. */
const KNOCK_TIMEOUT_MS = 10_000

interface Openers {
  readonly openSource: (spec: SourceSpec) => Promise<Source>
  /** Opens the source of a stream. */
  readonly openStream: (spec: SourceSpec, sync: string) => Promise<StreamSource>
  readonly openSender: () => HttpSender
  readonly secretFor: SecretFor
  /** Values of secrets, wherever they may go. */
  readonly secretOf: SecretLookup
}

export function connectionsWith(
  env: Environment,
  { openSource, openStream, openSender, secretFor, secretOf }: Openers,
): Connections {
  // The settings are the same as in delivery, so that a connection fails here if it would fail there.
  const profile = { allowPrivateNetwork: destinationPrivateNetworks(env) === 'allowed' }
  return {
    async describe(spec, model, signal) {
      await using source = await openSource(spec)
      return await source.describe(model, { signal })
    },
    async checkStream({ source: spec, model, sync }, signal) {
      await using source = await openStream(spec, sync.name)
      await source.check?.(model, { signal })
    },
    async excessRights(spec, signal) {
      // A source on files has no login, and would start a process for nothing. Nobody asks Kafka for the
      // rights of a login.
      if ('path' in spec || spec.type === 'kafka') return []
      await using source = await openSource(spec)
      return (await source.excessRights?.({ signal })) ?? []
    },
    assertKey: assertKeyColumns,
    assertTemplates: (definition, columns) => templateColumns(definition).assertKnown(columns),
    assertSendable: destination => assertSendable(destination, secretOf),
    async reach(destination, signal) {
      const { baseUrl } = destination
      const url = secretNames(baseUrl).length === 0 ? baseUrl : new URL(baseUrl).origin
      await using sender = openSender()
      const knock = { method: 'HEAD', url, headers: {}, body: null, timeoutMs: KNOCK_TIMEOUT_MS, signal }
      const request = { ...knock, connection: connectionOptions(destination, secretFor, profile) }
      const result = await sender.send(request)
      if (result.kind === 'answered') return result.tls ?? null
      const message = `${url} does not answer: ${result.error}`
      throw new SluiceError('unreachable', message, { details: [{ field: 'baseUrl', message }] })
    },
  }
}

/**
 * The options of the connection to a destination. If the secrets of its client certificate are not set here,
 * it shows no certificate: they may be set only where the sync runs.
 */
function connectionOptions(
  destination: DestinationSpec,
  secretFor: SecretFor,
  profile: { readonly allowPrivateNetwork: boolean },
): ConnectionOptions {
  const use = useByDestination(destination)
  const fill = (text: string): string => fillSecrets(text, name => (use === null ? '' : secretFor(name, use)))
  const { tls } = destination
  try {
    return connectionOf(destination, fill, profile)
  } catch (error) {
    if (!isSluiceError(error, 'config') || secretNames(JSON.stringify(tls ?? {})).length === 0) throw error
    const { ca, insecure } = tls ?? {}
    return connectionOf({ ...destination, tls: { ca, insecure } }, fill, profile)
  }
}
