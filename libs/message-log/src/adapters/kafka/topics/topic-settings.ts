/**
 * Reads the settings of existing topics, which operators or earlier versions made, and corrects them if
 * necessary.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { settingsOf, type Settings } from '../../../kafka-settings.ts'
import type { TopicSpec } from '../../../port.ts'
import type { Abort, KafkaCluster } from '../cluster.ts'
import { ProtocolError } from '../errors.ts'
import { alterConfigsRequest } from '../own-requests.ts'

const TOPIC = 2
/** Kafka's code for a setting that was made on the topic itself, not on the broker or by default. */
const OF_TOPIC = 1
/** Errors for a user that lacks a right. */
const DENIED = new Set(['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'])
/**
 * The values of `compression.type` with which this adapter can read the records. With `producer`, a broker
 * stores records as sent.
 */
const READABLE = new Set(['producer', 'uncompressed', 'gzip', 'zstd'])

/** The present and the missing settings of a topic. */
interface Correction {
  readonly topic: string
  /** The missing settings without which records of the topic cannot be written or read. */
  readonly required: Settings
  /** The missing settings without which a service only starts more slowly. */
  readonly wanted: Settings
  readonly found: Settings
}

interface DescribedTopics {
  readonly resources: readonly {
    readonly resourceName: string
    readonly configEntries: readonly {
      readonly configName: string
      readonly configValue: string
      readonly configSource: number
    }[]
  }[]
}

export class TopicSettings {
  readonly #cluster: KafkaCluster
  readonly #mayAlter: boolean

  constructor(cluster: KafkaCluster, options: { readonly mayAlter: boolean }) {
    this.#cluster = cluster
    this.#mayAlter = options.mayAlter
  }

  /**
   * Corrects the settings. Rejects with `config`, and the commands that correct them, if a required setting
   * is missing and this log may not set it. If the user may not even read the settings, this assumes that
   * they are right.
   */
  async correct(specs: readonly TopicSpec[], options: Abort): Promise<void> {
    if (specs.length === 0) return
    const found = await this.#read(specs, options)
    const corrections = specs.flatMap(spec => correctionOf(spec, found.get(spec.topic)) ?? [])
    for (const correction of corrections) await this.#put(correction, options)
  }

  async #read(
    specs: readonly Pick<TopicSpec, 'topic'>[],
    options: Abort,
  ): Promise<ReadonlyMap<string, DescribedTopics['resources'][number]>> {
    const resources = specs.map(({ topic }) => ({ type: TOPIC, name: topic }))
    try {
      const answer = await this.#cluster.retry(
        'looking at the settings of topics',
        () => this.#cluster.callAny<DescribedTopics>({ api: 'DescribeConfigs', args: { resources } }),
        options,
      )
      return new Map(answer.resources.map(each => [each.resourceName, each]))
    } catch (error) {
      if (isDenied(error)) return new Map()
      throw error
    }
  }

  /** Resolves with the settings of existing topics, by topic; null if the user may not see them. */
  async found(topics: readonly string[], options: Abort): Promise<ReadonlyMap<string, Settings> | null> {
    if (topics.length === 0) return new Map()
    const described = await this.#read(
      topics.map(topic => ({ topic })),
      options,
    )
    if (described.size === 0) return null
    return new Map(
      [...described].map(([topic, { configEntries }]) => [
        topic,
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    )
  }

  async #put(correction: Correction, options: Abort): Promise<void> {
    const { topic, required, wanted } = correction
    if (Object.keys(required).length > 0) {
      if (!this.#mayAlter) throw this.#toBeSet(correction)
      await this.#set(topic, required, options).catch((error: unknown) => {
        throw isDenied(error) ? this.#toBeSet(correction) : error
      })
    }
    if (Object.keys(wanted).length === 0 || !this.#mayAlter) return
    // If Kafka refuses these settings, a service only starts more slowly.
    await this.#set(topic, wanted, options).catch((error: unknown) => {
      if (!isSluiceError(error, 'config')) throw error
    })
  }

  #set(topic: string, settings: Settings, options: Abort): Promise<unknown> {
    return this.#cluster.retry(
      `correcting the settings of ${topic}`,
      () => this.#cluster.sendAny(alterConfigsRequest({ topic, settings })),
      options,
    )
  }

  #toBeSet({ topic, required, found }: Correction): SluiceError {
    const has = Object.keys(required).map(setting => `${setting}=${found[setting] ?? ''}`)
    const settings = Object.entries(required).map(([setting, value]) => `${setting}=${value}`)
    const alter = `--alter --topic ${topic} --add-config ${settings.join(',')}`
    return new SluiceError(
      'config',
      `the topic ${topic} has ${has.join(' and ')}, with which its records cannot be written or read; change it:\n` +
        `kafka-configs.sh --bootstrap-server ${this.#cluster.bootstrap} ${alter}`,
    )
  }
}

function correctionOf(
  spec: TopicSpec,
  described: DescribedTopics['resources'][number] | undefined,
): Correction | null {
  if (described === undefined) return null
  const entries = new Map(described.configEntries.map(entry => [entry.configName, entry]))
  const target = settingsOf(spec, null)
  const required: Record<string, string> = {}
  const wanted: Record<string, string> = {}
  const found: Record<string, string> = {}
  for (const [setting, value] of Object.entries(target)) {
    const entry = entries.get(setting)
    if (entry === undefined) continue
    found[setting] = entry.configValue
    if (setting === 'max.message.bytes' && Number(entry.configValue) < Number(value))
      required[setting] = value
    if (setting === 'compression.type' && !READABLE.has(entry.configValue)) required[setting] = value
    if (setting === 'max.compaction.lag.ms' && entry.configSource !== OF_TOPIC) wanted[setting] = value
  }
  if (Object.keys(required).length + Object.keys(wanted).length === 0) return null
  return { topic: spec.topic, required, wanted, found }
}

function isDenied(error: unknown): boolean {
  const cause = error instanceof SluiceError ? error.cause : error
  return cause instanceof ProtocolError && DENIED.has(cause.type)
}
