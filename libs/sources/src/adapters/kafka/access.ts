/** The connection to the cluster and the registry of a source: its fields with their secrets filled in. */
import { SluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretFor } from '@sluice/contracts/secret-references'
import { findFor, useByBroker, usesByRegistry } from '@sluice/domain/secret-uses'
import { publicSocket } from '@sluice/http-sender/egress-guard'
import type { KafkaLogOptions } from '@sluice/message-log/adapters/kafka'
import type { ForeignSchemasOptions } from '@sluice/schema-codec/adapters/foreign-schemas'
import { guardOf, openedKey, type PrivateNetworks } from '../server/access.ts'

/** Kafka may be silent for this long before a reading fails. */
const RETRY_MS = 15_000

export interface KafkaAccess {
  readonly log: KafkaLogOptions
  /** Null without a registry. */
  readonly registry: ForeignSchemasOptions | null
  /** The password and all other secrets, which messages mask. */
  readonly secrets: readonly string[]
}

/** Fills in the secrets. Throws `config` for a key that cannot be used, and the errors of `secretFor`. */
export function kafkaAccess(
  spec: KafkaSourceSpec,
  secretFor: SecretFor,
  privateNetworks: PrivateNetworks,
): KafkaAccess {
  const { brokers, sasl, registry, tls } = spec
  const secrets: string[] = []
  const noting: SecretFor = (name, use) => {
    const secret = secretFor(name, use)
    secrets.push(secret)
    return secret
  }
  const ofBrokers = findFor(
    brokers.map(broker => useByBroker(broker, tls)),
    noting,
  )
  const fill = (text: string): string => fillSecrets(text, ofBrokers)
  const guarded = guardOf(spec, privateNetworks)
  const { ca, cert, key, insecure = false } = tls ?? {}
  const pems = {
    ...(ca === undefined ? {} : { ca: fill(ca) }),
    ...(cert === undefined ? {} : { cert: fill(cert) }),
    ...(key === undefined ? {} : { key: openedKey(spec.name, fill(key)) }),
    rejectUnauthorized: !insecure,
  }
  return {
    secrets,
    log: {
      brokers,
      clientId: 'sluice',
      committedOnly: true,
      createTopics: false,
      retryMs: RETRY_MS,
      loginHint: 'set `sasl` of the source',
      ...(tls === undefined ? {} : { ssl: pems }),
      ...(sasl === undefined
        ? {}
        : {
            sasl: {
              mechanism: sasl.mechanism,
              username: fill(sasl.username),
              password: fill(sasl.password),
            },
          }),
      ...(guarded === null ? {} : { guardedSocket: () => publicSocket(guarded) }),
    },
    registry: registry === undefined ? null : registryAccess(spec, { url: registry, noting, guarded }),
  }
}

function registryAccess(
  spec: KafkaSourceSpec,
  {
    url,
    noting,
    guarded,
  }: { readonly url: string; readonly noting: SecretFor; readonly guarded: string | null },
): ForeignSchemasOptions {
  const find = findFor(usesByRegistry(spec), noting)
  const filled = fillSecrets(url, name => encodeURIComponent(find(name)))
  const { ca, insecure = false } = spec.tls ?? {}
  if (!URL.canParse(filled))
    throw new SluiceError(
      'config',
      `Source ${spec.name}: with its secrets filled in, \`registry\` is no URL.`,
    )
  return {
    url: filled,
    tls: { ...(ca === undefined ? {} : { ca }), rejectUnauthorized: !insecure },
    connect: guarded === null ? undefined : (port, host) => publicSocket(guarded).connect(port, host),
  }
}
